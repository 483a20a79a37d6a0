import { Pool } from 'undici';

import type { Slot } from './target.ts';

/** Keep-alive connections to each machine. One call at a time on a connection: a slow call holds up no other. */
export class UpstreamPools {
  private readonly pools = new Map<Slot, Pool>();

  of(slot: Slot): Pool {
    let pool = this.pools.get(slot);
    if (!pool) {
      pool = new Pool(`http://${slot.endpoint.address}`, {
        pipelining: 1,
        connect: { timeout: 2_000 },
        // Servers close idle connections after 2 s (gunicorn) or 5 s, often without saying so; be the first.
        keepAliveTimeout: 1_500,
        keepAliveMaxTimeout: 600_000,
        // One timer of the call itself, from the function's own timeout, stands for these two.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      this.pools.set(slot, pool);
    }
    return pool;
  }

  retire(slot: Slot): void {
    const pool = this.pools.get(slot);
    this.pools.delete(slot);
    void pool?.destroy();
  }

  async close(): Promise<void> {
    const pools = [...this.pools.values()];
    this.pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}

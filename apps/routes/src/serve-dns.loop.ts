import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { CestxError, routeEntrySchema, routesBucket } from '#contracts';
import { KeyValues } from '#messaging';

import { answerQuery } from './answer-query.ts';
import { DnsServer } from './dns-server.ts';
import { hostName } from './host-name.ts';
import { RouteStore } from './route.store.ts';
import type { RoutesConfig } from './routes.config.ts';
import { ZoneTable } from './zone-table.ts';

const retryMs = 1000;

/**
 * Keeps the zone in memory in step with the table of routes and answers for it.
 *
 * The table is the truth. Its copies in the KV bucket only say when to read it again, so every process of this room
 * hears of a change, whichever of them made it.
 */
@Injectable()
export class ServeDnsLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #zone: ZoneTable;
  readonly #stopping = new AbortController();
  #server: DnsServer | undefined;
  #stopWatching: (() => Promise<void>) | undefined;
  #isOutdated = false;
  #reloading: Promise<void> | undefined;

  constructor(
    private readonly routes: RouteStore,
    private readonly keyValues: KeyValues,
    @Inject(ROOM_CONFIG) private readonly config: RoutesConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    const address = { v4: config.CESTX_DNS_ADDRESS, v6: config.CESTX_DNS_ADDRESS6 || null };
    this.#zone = new ZoneTable(config.CESTX_DOMAIN, address, config.CESTX_DNS_TTL);
  }

  async onApplicationBootstrap(): Promise<void> {
    const renamed = await this.routes.rename((key) => hostName(key, this.config.CESTX_DOMAIN));
    if (renamed > 0)
      this.logger.info({ renamed, domain: this.config.CESTX_DOMAIN }, 'routes follow the new domain');
    this.#zone.replace(await this.routes.hosts());
    this.#stopWatching = await this.keyValues.watch(routesBucket, routeEntrySchema, () => this.#outdated());
    this.#server = await this.#listen();
    this.logger.info({ port: this.#server.port, zone: this.#zone.origin }, 'answering DNS');
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#stopWatching?.();
    await this.#server?.close();
    await this.#reloading;
  }

  /** Changes that arrive while the table is being read lead to one more reading, not to one each. */
  #outdated(): void {
    this.#isOutdated = true;
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
  }

  async #reload(): Promise<void> {
    while (this.#isOutdated && !this.#stopping.signal.aborted) {
      this.#isOutdated = false;
      try {
        this.#zone.replace(await this.routes.hosts());
      } catch (error) {
        this.#isOutdated = true;
        this.logger.warn({ err: error }, 'the zone could not be read; answering from what was read last');
        await sleep(retryMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    }
  }

  async #listen(): Promise<DnsServer> {
    const { CESTX_DNS_HOST: host, CESTX_DNS_PORT: port } = this.config;
    try {
      return await DnsServer.listen({
        host,
        port,
        answer: (query, transport) => answerQuery(this.#zone, query, transport),
        onError: (error) => this.logger.error({ err: error }, 'DNS'),
      });
    } catch (error) {
      throw new CestxError('unavailable', whyNot(error, host, port), { cause: error });
    }
  }
}

function whyNot(error: unknown, host: string, port: number): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} of ${host}, for DNS, is taken by another program. Set CESTX_DNS_PORT (or --dns-port) to a free one.`;
    case 'EACCES':
      return `Port ${port} of ${host}, for DNS, needs more rights than we have. Set CESTX_DNS_PORT (or --dns-port) to one above 1023.`;
    case 'EADDRNOTAVAIL':
      return `This machine has no address ${host} to answer DNS on. Correct CESTX_DNS_HOST.`;
    default:
      return `DNS cannot be answered on port ${port} of ${host}: ${String(error)}. See CESTX_DNS_PORT and CESTX_DNS_HOST.`;
  }
}

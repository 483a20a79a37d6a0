import { z } from 'zod';

const bytes = (fallback: number) => z.coerce.number().int().min(1).default(fallback);

/** The environment of the gateway. */
export const gatewayConfig = z.object({
  CESTX_HOST: z.string().default('0.0.0.0'),
  CESTX_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Functions answer at `<name>.<domain>`. */
  CESTX_DOMAIN: z.string().toLowerCase().default('localhost'),
  /** Holds the administrator key; made at the first start when it is missing. */
  CESTX_ADMIN_KEY_FILE: z.string().default('.cestx/admin-key'),
  /** Bytes of a source upload. */
  CESTX_MAX_UPLOAD: bytes(64 * 1024 ** 2),
  /** Bytes of the body of a call. */
  CESTX_MAX_BODY: bytes(32 * 1024 ** 2),
  /** Milliseconds a call waits for a machine; a cold start takes as long as the program needs to listen. */
  CESTX_HOLD_MS: z.coerce.number().int().min(0).default(30_000),
  /** Of all functions together; one function takes no more than are left free. */
  CESTX_MAX_HELD_CALLS: z.coerce.number().int().min(0).default(2000),
  /** Milliseconds in which the headers, and the whole, of a request have to be there. */
  CESTX_HEADERS_TIMEOUT_MS: z.coerce.number().int().min(100).default(20_000),
  CESTX_REQUEST_TIMEOUT_MS: z.coerce.number().int().min(100).default(300_000),
  CESTX_MAX_TUNNELS: z.coerce.number().int().min(0).default(1000),
  /** Calls without a trace of their own that begin one, per second. */
  CESTX_TRACES_PER_SECOND: z.coerce.number().min(0).default(10),
  /** `true` behind a proxy that sets X-Forwarded-*; else what a caller says there is dropped. */
  CESTX_TRUST_PROXY: z.stringbool().default(false),
});
export type GatewayConfig = z.output<typeof gatewayConfig>;

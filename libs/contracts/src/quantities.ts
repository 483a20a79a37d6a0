import { z } from 'zod';

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizeUnits = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, k: 1000, M: 1000 ** 2, G: 1000 ** 3 } as const;

/** `30s`, `5m`, `1h`, `250ms`, `2d` → milliseconds. */
export const durationSchema = z
  .string()
  .regex(/^[0-9]+(ms|s|m|h|d)$/, 'must be a duration such as 500ms, 30s, 5m or 1h')
  .transform((text) => {
    const [, number = '0', unit = 's'] = /^([0-9]+)([a-z]+)$/.exec(text) ?? [];
    return Number(number) * durationUnits[unit as keyof typeof durationUnits];
  });

/** `128Mi`, `1Gi`, `500M` → bytes. */
export const sizeSchema = z
  .string()
  .regex(/^[0-9]+(Ki|Mi|Gi|k|M|G)$/, 'must be a size such as 128Mi or 1Gi')
  .transform((text) => {
    const [, number = '0', unit = 'Mi'] = /^([0-9]+)([A-Za-z]+)$/.exec(text) ?? [];
    return Number(number) * sizeUnits[unit as keyof typeof sizeUnits];
  });

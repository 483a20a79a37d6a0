import { z } from 'zod';

/** RFC 1035 label in lower case, at most 63 characters: the name of a function, a project or a host label. */
export const labelSchema = z
  .string()
  .regex(
    /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be a name of lower-case letters, digits and hyphens, start with a letter, end with a letter or digit, and have at most 63 characters',
  );

/** One token of a subject: an id we made ourselves. */
export const idSchema = z.string().regex(/^[A-Za-z0-9_-]{1,80}$/);
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);
/** `<function>-v<n>` */
export const revisionSchema = z.string().regex(/^[a-z][a-z0-9-]*-v[0-9]+$/);
export const timeSchema = z.iso.datetime();

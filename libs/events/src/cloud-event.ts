import { z } from 'zod';

import { CestxError } from '#contracts';

/** A CloudEvent 1.0, however it travels. `attributes` holds core and extension attributes in their canonical string form. */
export interface CloudEvent {
  readonly attributes: EventAttributes;
  readonly data: Buffer | null;
}
export type EventAttributes = Readonly<Record<string, string>> & {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specversion: string;
};

/** Names of attributes: CloudEvents 1.0, "Naming Conventions". */
const namePattern = /^[a-z0-9]+$/;
/** RFC 3339, section 5.6. */
const timePattern =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
/** RFC 2045, section 5.1. */
const mediaType = new RegExp(`^${token}/${token}(?:\\s*;\\s*${token}=(?:${token}|"[^"]*"))*\\s*$`);
/** RFC 3986 leaves out blanks, quotes and the like; what is relative may begin with anything else. */
const uriReference = /^[^\s<>"{}|\\^`]+$/;
const absoluteUri = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]*$/;
/** Attributes become headers; control characters could end one and begin another. */
// eslint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/;
const maxValueLength = 4096;
const maxAttributes = 64;

const text = z
  .string()
  .min(1, 'must not be empty')
  .max(maxValueLength, `must not be longer than ${maxValueLength} characters`)
  .refine((value) => !control.test(value), 'must not hold control characters')
  .refine((value) => value.isWellFormed(), 'must be well-formed Unicode');
const core = {
  id: text,
  source: text.regex(uriReference, 'must be a URI reference'),
  // It becomes part of a subject, which a broker limits.
  type: text.max(1000, 'must not be longer than 1000 characters'),
  specversion: z.literal('1.0', 'must be "1.0"'),
  datacontenttype: text.regex(mediaType, 'must be a media type such as application/json').optional(),
  dataschema: text.regex(absoluteUri, 'must be an absolute URI').optional(),
  subject: text.optional(),
  time: text.regex(timePattern, 'must be a time such as 2026-01-31T12:00:00Z').optional(),
};
const extension = z.union(
  [
    text,
    z.boolean().transform(String),
    z
      .number()
      .int()
      .min(-(2 ** 31))
      .max(2 ** 31 - 1)
      .transform(String),
  ],
  'must be a string, a boolean or a whole number of 32 bits',
);
const attributesSchema = z.object(core).catchall(extension);

/** Checks attributes by their names; null stands for an absent one. Throws `invalid-event` naming every wrong one. */
export function checkAttributes(raw: Readonly<Record<string, unknown>>): EventAttributes {
  const present = Object.fromEntries(
    Object.entries(raw).filter(([, value]) => value !== null && value !== undefined),
  );
  const names = Object.keys(present);
  const wrong = names.filter((name) => !namePattern.test(name) || name === 'data');
  if (wrong.length > 0) {
    throw invalid(`"${wrong[0]}" is no name of an attribute: only lower-case letters and digits are.`);
  }
  if (names.length > maxAttributes) throw invalid(`It has more than ${maxAttributes} attributes.`);
  const result = attributesSchema.safeParse(present);
  if (result.success) return result.data as EventAttributes;
  throw invalid(
    result.error.issues
      .map(
        ({ path, message }) =>
          `"${path.join('.')}" ${(path.at(-1) as string) in present ? message : 'is missing'}.`,
      )
      .join(' '),
  );
}

export function invalid(text: string): CestxError {
  return new CestxError('invalid-event', `Not a valid CloudEvent: ${text}`);
}

/** Whether data of this content type is JSON, which may stand as it is in the JSON format. */
export function isJson(contentType: string | undefined): boolean {
  return contentType === undefined || /^[^/]+\/(?:[^;]+\+)?json\s*(?:;|$)/i.test(contentType);
}

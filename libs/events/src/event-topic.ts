/** Characters a token of a subject may not hold, and the percent sign that stands for them. */
const unfit = /[\s*>%]/gu;

/**
 * The topic an event of this type is published on: the type itself, whose dots part its tokens; what a NATS subject cannot hold
 * is percent-encoded.
 */
export function topicOfType(type: string): string {
  return type
    .split('.')
    .map((token) =>
      token === ''
        ? '%'
        : token.replaceAll(unfit, (character) => encodeURIComponent(character).replace('*', '%2A')),
    )
    .join('.');
}

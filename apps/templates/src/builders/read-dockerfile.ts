import { CestxError } from '#contracts';

export interface Instruction {
  /** Where it starts, counted from 1. */
  readonly line: number;
  /** In capitals. */
  readonly keyword: string;
  readonly flags: readonly string[];
  /** What follows keyword and flags, on one line. */
  readonly text: string;
}

const keywords = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  ),
);
/** Engines differ in what else they take for white space or the end of a line. */
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const unwanted = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/;

/** A Dockerfile that cannot be built, or must not be. */
export function refuse(line: number | null, why: string): CestxError {
  return new CestxError(
    'build-failed',
    `The Dockerfile cannot be built: ${line === null ? '' : `line ${line}: `}${why}.`,
  );
}

/** The instructions of a Dockerfile as the engine's own parser tells them apart, each joined to one line; one by one, so that who reads them stops at what is wrong. */
export function* readDockerfile(text: string): Generator<Instruction> {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  let joined = '';
  let start = 0;
  let directives = true;
  for (const [index, whole] of lines.entries()) {
    const line = index + 1;
    if (unwanted.test(whole)) throw refuse(line, 'it holds a control character');
    const trimmed = whole.trim();
    if (trimmed.startsWith('#')) {
      if (directives) directives = isDirective(trimmed, line);
      continue;
    }
    directives = false;
    // An empty line does not end an instruction that goes on.
    if (trimmed === '') continue;
    const goesOn = /\\[ \t]*$/.test(whole);
    const piece = goesOn ? whole.replace(/\\[ \t]*$/, '') : whole;
    if (joined === '') start = line;
    joined += piece;
    if (goesOn) continue;
    yield readInstruction(joined, start);
    joined = '';
  }
  if (joined.trim() !== '') yield readInstruction(joined, start);
}

/** Whether a comment at the top is a directive, so that the next may be one too. */
function isDirective(comment: string, line: number): boolean {
  const [, name = '', value = ''] = /^#\s*([a-z][a-z0-9]*)\s*=\s*(.+)$/i.exec(comment) ?? [];
  if (name.toLowerCase() === 'escape' && value !== '\\') {
    throw refuse(line, 'another escape character than \\ is for Windows; leave the directive out');
  }
  if (name.toLowerCase() === 'syntax' && !/^(docker\.io\/)?docker\/dockerfile(:|$)/.test(value)) {
    throw refuse(line, `the syntax ${value} needs BuildKit, which builds here do not use`);
  }
  return name !== '';
}

export function readInstruction(joined: string, line: number): Instruction {
  const trimmed = joined.trim();
  // It would take the next instruction for its own.
  if (trimmed.endsWith('\\')) throw refuse(line, 'an instruction must not end in a backslash');
  const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(trimmed) ?? [];
  const keyword = word.toUpperCase();
  if (!keywords.has(keyword)) throw refuse(line, `there is no instruction ${word}`);
  if (rest === '') throw refuse(line, `${keyword} needs something to work on`);
  const flags: string[] = [];
  let text = rest;
  // Those of HEALTHCHECK are settings that the engine reads itself.
  while (keyword !== 'HEALTHCHECK' && text.startsWith('--')) {
    const [flag = ''] = text.split(/\s/, 1);
    flags.push(flag);
    text = text.slice(flag.length).trim();
  }
  return { line, keyword, flags, text };
}

/** The words of ADD and COPY: a JSON list, or whatever white space parts. */
export function wordsOf({ text, keyword, line }: Instruction): string[] {
  if (!text.startsWith('[')) return text.split(/\s+/);
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  } catch {
    // Told below.
  }
  throw refuse(line, `what follows ${keyword} is not a JSON list of strings`);
}

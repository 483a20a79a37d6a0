import { parseImageName } from '#contracts';

import { cacheLabel } from './write-dockerfile.ts';
import { type Instruction, readDockerfile, readInstruction, refuse, wordsOf } from './read-dockerfile.ts';

export interface DockerfilePlan {
  /**
   * What the engine gets instead of the user's own: one instruction a line, no directives, every image by its full name.
   * So it reads what was checked, however its parser may differ from ours.
   */
  readonly text: string;
  /** The images it starts from or copies from. */
  readonly images: readonly string[];
  /** What the user should know, for the build's log. */
  readonly notes: readonly string[];
}

interface Reading {
  /** Names of the stages so far, '' where one has none. */
  readonly stages: string[];
  /** Arguments that FROM may use. */
  readonly args: Map<string, string>;
  readonly images: Set<string>;
  readonly notes: Set<string>;
}

const buildKit = 'needs BuildKit, which builds here do not use';

/**
 * A stranger's Dockerfile, checked. Refused is what would reach further than a container on the engine's bridge: mounts,
 * other networks, more privileges, what the engine itself fetches from the network, and images that are no image of a
 * registry or the host's own. `args` are the values the build is given.
 */
export function planDockerfile(
  text: string,
  { project, args }: { project: string; args: Readonly<Record<string, string>> },
): DockerfilePlan {
  const reading: Reading = { stages: [], args: new Map(), images: new Set(), notes: new Set() };
  const written: string[] = [];
  for (const instruction of readDockerfile(text)) {
    written.push(writeChecked(instruction, reading, args));
    // First of all, so that no layer is taken from another project's build.
    if (instruction.keyword === 'FROM') written.push(`LABEL ${cacheLabel}=${project}`);
  }
  if (reading.stages.length === 0) throw refuse(null, 'it has no FROM');
  return { text: `${written.join('\n')}\n`, images: [...reading.images], notes: [...reading.notes] };
}

/** Whether what an image makes of those who build on it (ONBUILD) may run here. */
export function checkTriggers(image: string, triggers: readonly string[]): void {
  for (const trigger of triggers) {
    try {
      checkTrigger(readInstruction(trigger, 1));
    } catch (error) {
      const why = error instanceof Error ? error.message.replace(/^.*line \d+: /, '') : String(error);
      throw refuse(null, `its base image ${image} adds "ONBUILD ${trigger}": ${why.replace(/\.$/, '')}`);
    }
  }
}

function checkTrigger(instruction: Instruction): void {
  const { keyword, flags, line } = instruction;
  if (['FROM', 'ONBUILD'].includes(keyword)) throw refuse(line, `ONBUILD ${keyword} is not possible`);
  if (keyword === 'RUN') refuseFlags(instruction);
  // The engine reads it from the image, so that it cannot be turned into COPY.
  if (keyword === 'ADD')
    throw refuse(line, 'ONBUILD must not ADD, which could fetch and unpack; COPY does neither');
  if (flags.some((flag) => flag.startsWith('--from'))) {
    throw refuse(line, 'ONBUILD must not copy from another image');
  }
  writeChecked(instruction, { stages: [''], args: new Map(), images: new Set(), notes: new Set() }, {});
}

function writeChecked(
  instruction: Instruction,
  reading: Reading,
  args: Readonly<Record<string, string>>,
): string {
  const { keyword, text, line } = instruction;
  if (reading.stages.length === 0 && !['FROM', 'ARG'].includes(keyword)) {
    throw refuse(line, `${keyword} stands before the first FROM`);
  }
  switch (keyword) {
    case 'FROM':
      return writeFrom(instruction, reading);
    case 'ARG':
      refuseFlags(instruction);
      if (reading.stages.length === 0) readArgs(text, reading.args, args);
      break;
    case 'RUN':
      checkRun(instruction, reading);
      refuseHeredoc(instruction);
      break;
    case 'ADD':
    case 'COPY':
      return writeCopy(instruction, reading);
    case 'ONBUILD':
      refuseFlags(instruction);
      checkTrigger(readInstruction(text, line));
      break;
    case 'LABEL':
      refuseFlags(instruction);
      if (/(^|[\s"'])cestx\./i.test(text))
        throw refuse(line, 'labels that begin with "cestx." are the platform\'s');
      break;
    default:
      refuseFlags(instruction);
  }
  return `${keyword} ${text}`;
}

function refuseFlags({ keyword, flags: [flag], line }: Instruction): void {
  if (flag !== undefined) throw refuse(line, `${keyword} ${flag} ${buildKit}`);
}

/** Of what BuildKit adds, only what makes no difference to the result is left out; the rest would not be what its author meant. */
function checkRun({ flags, line }: Instruction, { notes }: Reading): void {
  const why: Record<string, string> = {
    '--mount': `mounts nothing here: it ${buildKit}; copy what is needed with COPY`,
    '--network': 'has the network of every build; leave the option out',
    '--security': 'never has more privileges than other programs; leave the option out',
  };
  for (const flag of flags) {
    const [name = '', value = ''] = flag.split(/=(.*)/s);
    const options = value.split(',');
    if (
      name === '--mount' &&
      options.includes('type=cache') &&
      !options.some((option) => option.startsWith('from='))
    ) {
      notes.add('RUN --mount=type=cache is left out: builds keep layers, and no other caches.');
    } else if (!['--network=default', '--security=sandbox'].includes(flag)) {
      throw refuse(line, `RUN ${name} ${why[name] ?? buildKit}`);
    }
  }
}

function refuseHeredoc({ keyword, text, line }: Instruction): void {
  if (text.startsWith('[') || !/(^|\s)\d*<<-?[^\s<]/.test(text)) return;
  throw refuse(line, `${keyword} with a here-document (<<) ${buildKit}; put the text in a file and COPY it`);
}

function writeFrom(instruction: Instruction, reading: Reading): string {
  const { flags, text, line } = instruction;
  const [, given = '', name = ''] = /^(\S+)(?:\s+as\s+([a-z][a-z0-9_.-]*))?$/i.exec(text) ?? [];
  if (given === '') throw refuse(line, `FROM ${text} is not an image, or "image AS name"`);
  const other = flags.find((flag) => !flag.startsWith('--platform='));
  if (other !== undefined) throw refuse(line, `there is no FROM ${other}`);
  if (flags.length > 0)
    reading.notes.add('Images are built for the processors of this host; --platform is left out.');
  const stage = name.toLowerCase();
  const image = expand(given, reading.args, line);
  const from = reading.stages.includes(image.toLowerCase()) ? image.toLowerCase() : nameImage(image, line);
  if (from !== 'scratch' && !reading.stages.includes(from)) reading.images.add(from);
  reading.stages.push(stage);
  return `FROM ${from}${stage === '' ? '' : ` AS ${stage}`}`;
}

/** The full name: without a tag it could be taken for the id of an image, whoever's that is. */
function nameImage(given: string, line: number): string {
  if (given === 'scratch') return given;
  try {
    const { registry, repository, tag, digest } = parseImageName(given);
    const path = registry === null ? repository : `${registry}/${repository}`;
    return digest === null ? `${path}:${tag ?? 'latest'}` : `${path}@${digest}`;
  } catch {
    throw refuse(
      line,
      `"${given}" is not the name of an image; write [registry/]name[:tag], or name@sha256:…`,
    );
  }
}

function writeCopy(instruction: Instruction, reading: Reading): string {
  const { keyword, text, line } = instruction;
  refuseHeredoc(instruction);
  const words = wordsOf(instruction);
  if (words.length < 2) throw refuse(line, `${keyword} needs what to copy, and where to`);
  if (keyword === 'ADD') {
    words.slice(0, -1).forEach((word) => checkAdded(word, line));
    reading.notes.add('ADD copies as COPY does; it neither fetches nor unpacks.');
  }
  const flags = instruction.flags.flatMap((flag) => {
    const [, name = '', value = ''] = /^--([a-z-]+)(?:=(.*))?$/.exec(flag) ?? [];
    if (name === 'chown' && value !== '') return [flag];
    if (name === 'link') return [];
    if (name === 'from' && keyword === 'COPY') return [`--from=${copiedFrom(value, reading, line)}`];
    if (name === 'chmod') throw refuse(line, `${keyword} --chmod ${buildKit}; RUN chmod after it`);
    throw refuse(line, `${keyword} ${flag} ${buildKit}`);
  });
  return ['COPY', ...flags, text.startsWith('[') ? JSON.stringify(words) : words.join(' ')].join(' ');
}

/** What ADD does beyond COPY the engine does itself: with the network of the host, and without the limits of a build. */
function checkAdded(word: string, line: number): void {
  const plain = word.replace(/["'\\]/g, '');
  if (/:\/\/|^git@|^[a-z]+:\/|\.git(#|$)/i.test(plain)) {
    throw refuse(
      line,
      `ADD fetches nothing from the network; RUN curl or wget does, or put ${plain} beside the source`,
    );
  }
  if (/\.(tar|t?gz|tbz2?|bz2|t?xz|t?zst)$/i.test(plain)) {
    throw refuse(line, `ADD unpacks nothing; COPY ${plain}, and unpack it with RUN tar`);
  }
}

function copiedFrom(value: string, reading: Reading, line: number): string {
  const stage = value.toLowerCase();
  if (stage !== '' && reading.stages.slice(0, -1).includes(stage)) return stage;
  if (/^\d{1,3}$/.test(value) && Number(value) < reading.stages.length - 1) return String(Number(value));
  const image = nameImage(value, line);
  reading.images.add(image);
  return image;
}

const argument = /([A-Za-z_]\w*)(?:=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']*))?/g;

/** Values that the build is given go before those the Dockerfile has. */
function readArgs(text: string, known: Map<string, string>, given: Readonly<Record<string, string>>): void {
  for (const [, name = '', value] of text.matchAll(argument)) {
    const own = value === undefined ? undefined : value.replace(/^(["'])(.*)\1$/, '$2');
    const chosen = given[name] ?? (own === undefined ? undefined : replaceVariables(own, known));
    if (chosen !== undefined) known.set(name, chosen);
  }
}

function expand(word: string, known: ReadonlyMap<string, string>, line: number): string {
  const expanded = replaceVariables(word.replace(/["']/g, ''), known);
  if (!/[$\\]/.test(expanded) && expanded !== '') return expanded;
  throw refuse(
    line,
    `FROM ${word} has a variable without a value; give it one with ARG before the first FROM`,
  );
}

/** `$X`, `${X}`, `${X:-default}` and `${X:+other}`; what has no value becomes nothing, as with the engine. */
function replaceVariables(text: string, known: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?([-+])([^}]*))?\})/g,
    (_, plain?: string, braced?: string, mode?: string, other?: string) => {
      const value = known.get(plain ?? braced ?? '') ?? '';
      if (mode === '-') return value === '' ? (other ?? '') : value;
      if (mode === '+') return value === '' ? '' : (other ?? '');
      return value;
    },
  );
}

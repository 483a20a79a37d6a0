import { dirname } from 'node:path/posix';

import { nameOfStep, type BuildPhase, type BuildPlan } from '#builds';

/** Where things lie in the context of a generated build. Only `source/` is the user's, so no name of theirs can clash. */
export const contextPaths = { dockerfile: 'Dockerfile', ca: 'ca.pem', source: 'source' } as const;

/** Says whose cache a stage is, and keeps the caches of projects apart. */
export const cacheLabel = 'cestx.cache';

const user = '65534:65534';
const caInBuild = '/cestx-build-ca.pem';
/** How the programs of each language are told which certificates to trust. */
const trustVariables = [
  'NODE_EXTRA_CA_CERTS',
  'PIP_CERT',
  'REQUESTS_CA_BUNDLE',
  'SSL_CERT_FILE',
  'GIT_SSL_CAINFO',
];

export interface DockerfileOptions {
  /** The image the phases run in, and the one the program runs in. */
  readonly images: { readonly build: string; readonly run: string };
  readonly project: string;
  readonly withCa: boolean;
}

/**
 * A plan as a Dockerfile of two stages. A phase sees nothing but the files it reads, so a change of code installs nothing
 * anew. The certificate of the build and the caches stay in the first stage; the program runs as nobody, on files of root's.
 */
export function writeDockerfile(plan: BuildPlan, { images, project, withCa }: DockerfileOptions): string {
  const { source, ca } = contextPaths;
  const path = plan.path.map((folder) => `/app/${folder}:`).join('');
  const trust = withCa ? trustVariables.map((name) => [name, caInBuild] as const) : [];
  const settings = [...Object.entries(plan.buildEnvironment), ...trust];
  return [
    `FROM ${images.build} AS build`,
    // First of all, so that the layers below are shared by the functions of a project and by nobody else.
    `LABEL ${cacheLabel}=${project}`,
    'USER 0:0',
    ...(withCa ? [`COPY ${ca} ${caInBuild}`] : []),
    `RUN mkdir -p /app && chown ${user} /app`,
    `USER ${user}`,
    `ENV HOME=/tmp LANG=C.UTF-8 PATH=${path}$PATH`,
    ...settings.map(([name, value]) => `ENV ${name}=${inDockerfile(value)}`),
    'WORKDIR /app',
    ...writePhases(plan.phases),
    '',
    `FROM ${images.run}`,
    'USER 0:0',
    `ENV HOME=/tmp PATH=${path}$PATH`,
    ...Object.entries(plan.environment).map(([name, value]) => `ENV ${name}=${inDockerfile(value)}`),
    'WORKDIR /app',
    // Before the files, so that a change of code finds these steps in the cache; what is copied is root's all the same.
    `USER ${user}`,
    `CMD ${JSON.stringify(plan.start)}`,
    ...(foldersMade(plan.phases)?.map((folder) => `COPY --from=build /app/${folder}/ ./${folder}/`) ?? []),
    foldersMade(plan.phases) ? `COPY ${source}/ ./` : 'COPY --from=build /app/ ./',
    '',
  ].join('\n');
}

function writePhases(phases: readonly BuildPhase[]): string[] {
  let whole = false;
  return phases.flatMap((phase) => {
    const copies = whole ? [] : copiesFor(phase);
    whole ||= phase.reads === 'all';
    const caches = Object.entries(phase.caches).map(
      ([name, folder]) => `${name}=${inShell(`/tmp/cache/${folder}`)}`,
    );
    const folders = phase.makes === 'all' ? [] : phase.makes.filter(Boolean);
    // The name of the step stands first, to tell which one failed.
    const commands = phase.commands.map((argv) =>
      ['env', `CESTX_STEP=${inShell(nameOfStep(argv))}`, ...caches, ...argv.map(inShell)].join(' '),
    );
    return [
      ...copies,
      ...commands.map((command) => `RUN ${command}`),
      // What is copied later has to be there, also when there was nothing to install.
      ...(folders.length > 0 ? [`RUN mkdir -p ${folders.map(inShell).join(' ')}`] : []),
    ];
  });
}

/** Each folder on its own, because COPY puts all it is given into one. */
function copiesFor({ reads }: BuildPhase): string[] {
  if (reads === 'all') return [`COPY --chown=${user} ${contextPaths.source}/ ./`];
  const folders = Map.groupBy(reads, (path) => dirname(path));
  return [...folders].map(([folder, paths]) => {
    const words = [
      ...paths.map((path) => `${contextPaths.source}/${path}`),
      `./${folder === '.' ? '' : `${folder}/`}`,
    ];
    return `COPY --chown=${user} ${words.every((word) => /^[\w./-]+$/.test(word)) ? words.join(' ') : JSON.stringify(words)}`;
  });
}

/** What the phases made beside the source; null when they may have changed the source itself. */
function foldersMade(phases: readonly BuildPhase[]): string[] | null {
  const made = phases.map(({ makes }) => makes);
  return made.every((folders) => folders !== 'all') ? [...new Set(made.flat())] : null;
}

/** A word for the shell, as one line: a Dockerfile knows no other. */
function inShell(word: string): string {
  return /^[\w@%+:,./=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`).replaceAll('\n', ' ')}'`;
}

/** A value as it is, where a Dockerfile would else read a variable or the end of a line into it. */
function inDockerfile(value: string): string {
  return JSON.stringify(value.replaceAll('\n', ' ')).replaceAll('$', String.raw`\$`);
}

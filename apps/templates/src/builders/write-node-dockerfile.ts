import type { NodePlan } from '../plan-node-build.ts';

/** Where things lie in the context of a generated build. Only `source/` is the user's, so no name of theirs can clash. */
export const contextPaths = { dockerfile: 'Dockerfile', ca: 'ca.pem', source: 'source' } as const;

/** Says whose cache a stage is, and keeps the caches of projects apart. */
export const cacheLabel = 'cestx.cache';

const user = '65534:65534';
const caInBuild = '/cestx-build-ca.pem';

/**
 * Dependencies are installed in a stage that sees nothing but the files npm reads, so a change of code installs nothing
 * anew. The certificate of the build and npm's cache stay in that stage; the program runs as nobody, on files of root's.
 */
export function writeNodeDockerfile(
  plan: NodePlan,
  { base, project, withCa }: { base: string; project: string; withCa: boolean },
): string {
  const { source, ca } = contextPaths;
  const npm = (args: string[]) => {
    const trust = withCa ? `NODE_EXTRA_CA_CERTS=${caInBuild} ` : '';
    return `RUN ${trust}npm_config_update_notifier=false npm ${args.join(' ')}`;
  };
  const copySource = `COPY --chown=${user} ${source}/ ./`;
  const onlyManifests = `COPY --chown=${user} ${plan.installFiles.map((path) => `${source}/${path}`).join(' ')} ./`;
  const built = plan.build.length > 0;
  return [
    `FROM ${base} AS build`,
    // First of all, so that the layers below are shared by the functions of a project and by nobody else.
    `LABEL ${cacheLabel}=${project}`,
    'USER 0:0',
    ...(withCa ? [`COPY ${ca} ${caInBuild}`] : []),
    `RUN mkdir -p /app && chown ${user} /app`,
    `USER ${user}`,
    'ENV HOME=/tmp',
    'WORKDIR /app',
    plan.installNeedsSource ? copySource : onlyManifests,
    `${npm(plan.install)} && mkdir -p node_modules`,
    ...(built && !plan.installNeedsSource ? [copySource] : []),
    ...plan.build.map(npm),
    '',
    `FROM ${base}`,
    'USER 0:0',
    'ENV NODE_ENV=production HOME=/tmp PATH=/app/node_modules/.bin:$PATH',
    'WORKDIR /app',
    // Before the files, so that a change of code finds these steps in the cache; what is copied is root's all the same.
    `USER ${user}`,
    `CMD ${JSON.stringify(plan.start)}`,
    ...(built || plan.installNeedsSource
      ? ['COPY --from=build /app/ ./']
      : ['COPY --from=build /app/node_modules/ ./node_modules/', `COPY ${source}/ ./`]),
    '',
  ].join('\n');
}

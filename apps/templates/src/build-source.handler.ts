import { Controller, Inject } from '@nestjs/common';
import type { Logger } from 'pino';

import { isRegistryTrouble } from '#builds';
import { LOGGER } from '#boot';
import {
  BuildSource,
  CestxError,
  GetDriver,
  type Artifact,
  type DriverName,
  type PayloadOf,
} from '#contracts';
import { inSpan } from '#storage';
import { Feeds, HandleCommand, Messenger, type MessageContext, type Outcome } from '#messaging';

import { BuildLog } from './build-log.ts';
import { BuildQueue } from './build-queue.ts';
import type { BuildRow } from './build.entity.ts';
import { BuildStore, discarded } from './build.store.ts';
import { Builders } from './builders/builders.ts';
import { ImageRegistry } from './builders/image-registry.ts';
import type { Builder, BuildRequest, PreparedBuild } from './builders/builder.ts';
import { contentKey } from './content-key.ts';
import { SourceReader } from './source-reader.ts';
import { TemplateResolver } from './template-resolver.ts';
import { TemplateStore } from './template.store.ts';

type Command = PayloadOf<typeof BuildSource>;
interface Built {
  template: string;
  artifact: Artifact;
  content: string | null;
}

const lastLineCount = 20;
/** Builds that may wait here; the queue can only be fair to those it knows of. */
const mostWaiting = 1000;

/**
 * 1. The row says "waiting" before its turn comes, so that its source is not collected, and "building" before there is any
 *    effect, so whoever discards the build knows what to look for.
 * 2. A build that was killed half-way starts clean: what it left is removed first.
 * 3. The artefact is in the row before the command ends; content that was built before is not built again.
 */
@Controller()
export class BuildSourceHandler {
  constructor(
    private readonly builds: BuildStore,
    private readonly builders: Builders,
    private readonly images: ImageRegistry,
    private readonly queue: BuildQueue,
    private readonly messenger: Messenger,
    private readonly sources: SourceReader,
    private readonly resolver: TemplateResolver,
    private readonly templates: TemplateStore,
    private readonly feeds: Feeds,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @HandleCommand(BuildSource, { concurrency: mostWaiting })
  async handle(command: Command, context: MessageContext): Promise<Outcome<typeof BuildSource>> {
    await this.builds.expect(command);
    const { driver } = await this.messenger.ask(GetDriver, {});
    const log = await BuildLog.open(this.feeds, command);
    const queued = {
      id: command.buildId,
      project: command.project,
      content: contentKey({ ...command, driver }),
      onWait: (before: number) => log.write(waitingText(before)),
    };
    const built = await this.queue
      .run(queued, context.signal, (signal) => this.#build(command, driver, log, signal))
      .finally(() => this.#flush(command.buildId, log));
    const own = await this.templates.usedBy(command.buildId);
    return {
      done: {
        buildId: command.buildId,
        template: built.template,
        artifact: built.artifact,
        ...(own ? { templateVersion: own.version, health: own.definition.health } : {}),
      },
      write: (tx) => this.builds.confirm(tx, command.buildId),
    };
  }

  async #build(command: Command, driver: DriverName, log: BuildLog, signal: AbortSignal): Promise<Built> {
    const row = await this.builds.begin(command, driver);
    if (row.state === 'discarded') throw discarded();
    const builder = this.builders.of(driver);
    const present = await whatIsBuilt(row, builder);
    if (present) return present;
    try {
      if (row.attempts > 1) log.write('The build was interrupted; it starts again.');
      await builder.clear(command.buildId, null);
      const built = await this.#make(command, builder, log, signal);
      await this.#record(command.buildId, builder, built, log);
      return built;
    } catch (error) {
      throw await this.#fail(command.buildId, error, log);
    }
  }

  async #flush(buildId: string, log: BuildLog): Promise<void> {
    const lost = await log.flush();
    if (lost) this.logger.warn({ err: lost, buildId }, 'lines of a build log were not published');
  }

  async #make(command: Command, builder: Builder, log: BuildLog, signal: AbortSignal): Promise<Built> {
    const handedIn = await inSpan('build read source', {}, () => this.sources.read(command.sourceDigest));
    const resolved = await this.resolver.resolve(command, handedIn);
    const { name: template, reason, base, source, settings, dockerfile } = resolved;
    log.write(`Template ${template}: ${reason}.`);
    // Not looked for among earlier builds: what a name stands for in its registry may have changed.
    if (base === 'image') {
      return { template, artifact: await this.#pull(command, builder, log, signal), content: null };
    }
    const request: BuildRequest = {
      buildId: command.buildId,
      project: command.project,
      functionName: command.function,
      sourceDigest: command.sourceDigest,
      template: base,
      ...(dockerfile === undefined ? {} : { dockerfile }),
      settings,
      source,
      log: log.write,
      signal,
    };
    const build = await inSpan('build plan', {}, () => builder.prepare(request));
    const { content } = build;
    const { project, sourceDigest } = command;
    for (const artifact of await this.builds.findBuilt({
      project,
      sourceDigest,
      driver: builder.driver,
      content,
    })) {
      if (!(await builder.exists(artifact))) continue;
      log.write('The same was built before; that build is used.');
      return { template, artifact, content };
    }
    const clear = () => builder.clear(command.buildId, null);
    const artifact = await runPatiently(build, { log, signal, clear });
    return { template, artifact: await this.#push(command, builder, artifact, log, signal), content };
  }

  async #pull(command: Command, builder: Builder, log: BuildLog, signal: AbortSignal): Promise<Artifact> {
    if (builder.driver !== 'docker') {
      throw new CestxError(
        'bad-request',
        'An image runs in a container, and functions run as processes here; start a container engine and use --driver docker, or deploy the source.',
      );
    }
    const { image = '', handler, args } = command.build;
    if (handler !== undefined || Object.keys(args).length > 0) {
      throw new CestxError(
        'bad-request',
        '"handler" and "build.args" in function.yaml are for what is built; an image runs as it is.',
      );
    }
    return await inSpan('build pull image', {}, () => this.images.pull(image, { log: log.write, signal }));
  }

  /** A build that other hosts cannot have, where they should, has failed. */
  async #push(
    { project, function: functionName, buildId }: Command,
    builder: Builder,
    artifact: Artifact,
    log: BuildLog,
    signal: AbortSignal,
  ): Promise<Artifact> {
    if (artifact.kind !== 'image' || this.images.address === null) return artifact;
    const to = { project, functionName, buildId };
    try {
      return await inSpan('build push image', {}, () =>
        this.images.push(artifact, to, { log: log.write, signal }),
      );
    } catch (error) {
      await builder.clear(buildId, null);
      throw error;
    }
  }

  /** Recorded at once, so that the next build of the same content, which waits for this one, finds it. */
  async #record(buildId: string, builder: Builder, built: Built, log: BuildLog): Promise<void> {
    if (await this.builds.finish(buildId, { ...built, log: log.text })) return;
    await builder.clear(buildId, null);
    throw discarded();
  }

  async #fail(buildId: string, error: unknown, log: BuildLog): Promise<unknown> {
    if (!(error instanceof CestxError) || error.retryable || error.code === 'undone') return error;
    log.write(error.message);
    await this.builds.fail(buildId, log.text);
    const lastLines = error.lastLines ?? log.tail(lastLineCount);
    return new CestxError(error.code, error.message, { lastLines, cause: error });
  }
}

function waitingText(before: number): string {
  return before === 1 ? 'waiting: 1 build before this one' : `waiting: ${before} builds before this one`;
}

async function whatIsBuilt(row: BuildRow, builder: Builder): Promise<Built | null> {
  const { template, artifact, content } = row;
  if (row.state !== 'built' || !template || !artifact) return null;
  return (await builder.exists(artifact)) ? { template, artifact, content } : null;
}

/** A package registry that was away for a moment costs a second try, not the deployment. */
async function runPatiently(
  build: PreparedBuild,
  { log, signal, clear }: { log: BuildLog; signal: AbortSignal; clear: () => Promise<void> },
): Promise<Artifact> {
  try {
    return await build.run();
  } catch (error) {
    if (signal.aborted || !isRegistryTrouble(log.tail(200))) throw error;
    log.write('The package registry did not answer; trying once more.');
    await clear();
    return await build.run();
  }
}

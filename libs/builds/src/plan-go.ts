import { normalize } from 'node:path/posix';

import { findFile, type SourceTree, textOf } from './source-tree.ts';
import { type BuildPhase, type BuildPlan, type PlanRequest, textFile } from './build-plan.ts';
import { chooseGoMain, goMains } from './choose-go-main.ts';
import { failed } from './plan-node-install.ts';
import { argvOf, procfileWeb } from './plan-start-command.ts';
import { readHandler, registeredHandlers } from './read-handler.ts';

const framework = 'github.com/GoogleCloudPlatform/functions-framework-go';
const frameworkVersion = 'v1.9.2';
/** Part of the module, because only its own packages may import those under `internal`. */
const generated = 'cestx-main';

const caches = { GOCACHE: 'go-build', GOMODCACHE: 'go-mod' };

/** A Go source: one binary of a main package of its own, or of one made for its functions. */
export function planGo(request: PlanRequest): BuildPlan {
  const { source } = request;
  const module = /^module[ \t]+"?([^\s"]+)/m.exec(textOf(source, 'go.mod') ?? '')?.[1];
  if (module === undefined) {
    throw failed(
      'the go template needs a go.mod with a "module" line at the top of the source; run go mod init',
    );
  }
  const handler = readHandler(request) ?? inferredHandler(source);
  const function_ = planFunction(request, module, handler?.['FUNCTION_TARGET']);
  const start = startOf(source);
  const target = function_?.package ?? chooseGoMain(request, start.name);
  // The framework's server needs packages that the functions alone do not, so their checksums may have to be added.
  const locked =
    findFile(source, 'go.sum') !== undefined || !/^\s*require\b/m.test(textOf(source, 'go.mod') ?? '');
  const free = function_ !== undefined || !locked;
  return {
    language: 'go',
    source: { ...source, files: [...source.files, ...(function_?.files ?? [])] },
    notes: locked ? [] : ['There is no go.sum, so nothing says which content the dependencies should have.'],
    phases: [
      dependencies(source, module, free, function_ === undefined ? [] : [`${framework}/funcframework`]),
      {
        name: 'build',
        reads: 'all',
        makes: 'all',
        commands: [
          ...(function_?.commands ?? []),
          ['go', 'build', ...(free ? ['-mod=mod'] : []), '-o', start.output, target],
        ],
        caches,
      },
      {
        name: 'prune',
        reads: 'all',
        makes: 'all',
        // What is left are templates, static files and the like, which a program may read where it runs.
        commands: [
          ['find', '.', '-name', '*.go', '-type', 'f', '-delete'],
          ['rm', '-rf', 'vendor', generated],
        ],
        caches: {},
      },
    ],
    path: ['bin'],
    buildEnvironment: {
      CGO_ENABLED: '0',
      // Without the first, a cache could not be removed by the one who made it. The last is for every command or for none:
      // what was compiled with it is not what is compiled without it.
      GOFLAGS: '-modcacherw -buildvcs=false -trimpath',
      // A newer Go than the one that is there comes through the module proxy, as go.mod asks.
      GOTOOLCHAIN: 'auto',
      ...request.args,
    },
    start: start.command,
    environment: { ...handler },
  };
}

/** Apart from the build, so that a change of code downloads and compiles none of its dependencies anew. */
function dependencies(
  source: SourceTree,
  module: string,
  free: boolean,
  extra: readonly string[],
): BuildPhase {
  const mod = textOf(source, 'go.mod') ?? '';
  const vendored = findFile(source, 'vendor/modules.txt') !== undefined && extra.length === 0;
  const local = /=>\s*\.{0,2}\//.test(mod);
  const standard = (path: string) => !path.split('/')[0]?.includes('.');
  const packages = [...importsOf(source, module), ...extra].filter((path) => !vendored || standard(path));
  const downloads = !vendored && /^\s*require\b/m.test(mod);
  const compile = ['go', 'build', ...(free ? ['-mod=mod'] : []), ...packages].join(' ');
  return {
    name: 'install',
    reads: vendored ? [] : local ? 'all' : ['go.mod', 'go.sum'].filter((path) => findFile(source, path)),
    makes: [],
    commands: [
      ...(downloads ? [['go', 'mod', 'download']] : []),
      // What cannot be compiled yet is told when the program is built.
      ...(packages.length === 0 ? [] : [['/bin/sh', '-c', `${compile} >/dev/null 2>&1 || true`]]),
    ],
    caches,
  };
}

/** The packages that the files for every system import from elsewhere. */
function importsOf(source: SourceTree, module: string): string[] {
  const code = source.files
    .filter(({ path }) => /^(?!vendor\/)[^_]*\.go$/.test(path))
    .map(({ content }) => content.toString('utf8'))
    .filter((text) => !/^\/\/ ?(go:build|\+build)\b/m.test(text));
  const paths = code.flatMap((text) => [
    ...text.matchAll(/^import\s+(?:[\w.]+\s+)?"([\w./~-]+)"/gm),
    ...[...text.matchAll(/^import\s*\(([^)]*)\)/gm)].flatMap(([, block = '']) => [
      ...block.matchAll(/"([\w./~-]+)"/g),
    ]),
  ]);
  const others = paths
    .flatMap(([, path]) => path ?? [])
    .filter((path) => path !== 'C' && path !== module && !path.startsWith(`${module}/`));
  return [...new Set(others)].sort();
}

/** The program takes the name under which a Procfile starts it. */
function startOf(source: SourceTree): { output: string; name: string | undefined; command: string[] } {
  const procfile = procfileWeb(source);
  const [program = ''] = procfile?.split(/\s+/) ?? [];
  const path = normalize(program.includes('/') ? program : `bin/${program}`);
  const foreign = program === '' || /^(go|sh|bash|env|exec)$/.test(program) || /^(\/|\.\.)/.test(path);
  if (procfile === undefined || foreign || !/^[\w./-]+$/.test(path)) {
    return { output: 'bin/app', name: undefined, command: ['bin/app'] };
  }
  return { output: path, name: path.split('/').at(-1), command: argvOf(procfile) };
}

interface FunctionPlan {
  readonly package: string;
  readonly files: readonly ReturnType<typeof textFile>[];
  readonly commands: readonly string[][];
}

/** A main package for a module that only has functions; undefined where the source starts them itself. */
function planFunction(
  request: PlanRequest,
  module: string,
  target: string | undefined,
): FunctionPlan | undefined {
  const { source, handler } = request;
  const mains = goMains(source);
  if (target === undefined || mains.includes('.')) return undefined;
  if (handler === undefined && mains.length > 0) return undefined;
  const code = rootCode(source);
  const registered = new RegExp(String.raw`\.(?:HTTP|CloudEvent|Typed)\(\s*"${target}"`).test(code);
  const signature = new RegExp(String.raw`^func ${target}\(([^)]*)\)`, 'm').exec(code)?.[1];
  if (!registered && signature === undefined) {
    throw failed(
      `no Go file at the top of the source registers or exports the function "${target}", which "handler:" in function.yaml names`,
    );
  }
  const required = (textOf(source, 'go.mod') ?? '').includes(framework);
  return {
    package: `./${generated}`,
    files: [
      textFile(
        `${generated}/main.go`,
        registered ? registeredMain(module) : exportedMain(module, target, signature),
      ),
    ],
    commands: required ? [] : [['go', 'get', `${framework}@${frameworkVersion}`]],
  };
}

/** A module with functions of the framework and no program is a function. */
function inferredHandler(source: SourceTree): Record<string, string> | undefined {
  if (goMains(source).includes('.')) return undefined;
  const names = registeredHandlers(
    source,
    /^[^/]+\.go$/,
    /\bfunctions\.(?:HTTP|CloudEvent|Typed)\(\s*"([\w.-]+)"/g,
  );
  if (names.length <= 1) return names[0] === undefined ? undefined : { FUNCTION_TARGET: names[0] };
  throw failed(`it has several functions (${names.join(', ')}); choose one with "handler:" in function.yaml`);
}

function rootCode(source: SourceTree): string {
  return source.files
    .filter(({ path }) => /^[^/]+\.go$/.test(path) && !path.endsWith('_test.go'))
    .map(({ content }) => content.toString('utf8'))
    .join('\n');
}

function registeredMain(module: string): string {
  return `package main

import (
	"log"
	"os"

	_ "${module}"
	"${framework}/funcframework"
)

func main() {
	if err := funcframework.Start(os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}
`;
}

/** For functions in the older style, which are exported and not registered; their parameters tell the signature. */
function exportedMain(module: string, target: string, signature = ''): string {
  const register = signature.includes('ResponseWriter')
    ? 'RegisterHTTPFunctionContext'
    : 'RegisterCloudEventFunctionContext';
  return `package main

import (
	"context"
	"log"
	"os"

	"${framework}/funcframework"
	function "${module}"
)

func main() {
	if err := funcframework.${register}(context.Background(), "/", function.${target}); err != nil {
		log.Fatal(err)
	}
	if err := funcframework.Start(os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}
`;
}

import { describe, expect, it } from 'vitest';

import { sourceOf, textOf } from './source-tree.ts';
import { planGo } from './plan-go.ts';

const main =
  'package main\n\nimport (\n\t"net/http"\n\n\t"github.com/gin-gonic/gin"\n)\n\nfunc main() {\n}\n';
const mod = 'module example.com/app\n\ngo 1.22\n\nrequire github.com/gin-gonic/gin v1.10.0\n';
const locked = { 'go.mod': mod, 'go.sum': '' };
const plan = (
  files: Record<string, string>,
  more: { handler?: string; args?: Record<string, string>; functionName?: string } = {},
) => planGo({ source: sourceOf(files), functionName: 'app', args: {}, ...more });
const build = (...of: Parameters<typeof plan>) =>
  plan(...of)
    .phases.find(({ name }) => name === 'build')
    ?.commands.at(-1);

describe('the program', () => {
  it('is the main package at the top', () => {
    expect(build({ ...locked, 'main.go': main })).toEqual(['go', 'build', '-o', 'bin/app', '.']);
    expect(plan({ ...locked, 'main.go': main }).start).toEqual(['bin/app']);
  });

  it.each<[string, Record<string, string>, Parameters<typeof plan>[1], string]>([
    ['the only one under cmd', { 'cmd/serve/main.go': main, 'x.go': 'package app\n' }, {}, './cmd/serve'],
    ['cmd itself', { 'cmd/main.go': main }, {}, './cmd'],
    [
      'the one called like the function',
      { 'cmd/a/main.go': main, 'cmd/b/main.go': main },
      { functionName: 'b' },
      './cmd/b',
    ],
    [
      'the one that is named',
      { 'main.go': main, 'cmd/b/main.go': main },
      { args: { MAIN: './cmd/b' } },
      './cmd/b',
    ],
    [
      'the one called like the program of the Procfile',
      { 'main.go': main, 'cmd/web/m.go': main, Procfile: 'web: bin/web' },
      {},
      './cmd/web',
    ],
  ])('is %s', (_, files, more, target) => {
    expect(build({ ...locked, ...files }, more)?.at(-1)).toBe(target);
  });

  it('has the name under which a Procfile starts it', () => {
    const procfile = plan({ ...locked, 'main.go': main, Procfile: 'web: bin/go-getting-started -v' });
    expect(procfile.start).toEqual(['bin/go-getting-started', '-v']);
    expect(procfile.phases[1]?.commands[0]).toContain('bin/go-getting-started');
  });

  it('is chosen by the user where there are several', () => {
    const files = { ...locked, 'cmd/a/main.go': main, 'cmd/b/main.go': main };
    expect(() => build(files)).toThrow('main packages in cmd/a, cmd/b');
    expect(() => build(files, { args: { MAIN: 'c' } })).toThrow('there is no main package');
  });

  it('is not made of what is ignored, vendored or a test', () => {
    expect(() =>
      build({
        ...locked,
        'gen.go': `//go:build ignore\n\n${main}`,
        'vendor/x/main.go': main,
        'a_test.go': main,
      }),
    ).toThrow('there is no main package at the top');
  });

  it('needs a go.mod', () => {
    expect(() => plan({ 'main.go': main })).toThrow('go mod init');
  });
});

describe('the modules', () => {
  it('are downloaded and compiled apart from the code', () => {
    const [install] = plan({ ...locked, 'main.go': main }).phases;
    expect(install?.reads).toEqual(['go.mod', 'go.sum']);
    expect(install?.commands[0]).toEqual(['go', 'mod', 'download']);
    expect(install?.commands[1]?.at(-1)).toContain('go build github.com/gin-gonic/gin net/http ');
  });

  it('are compiled with the flags of the program, so that it need not compile them again', () => {
    const made = plan({ ...locked, 'main.go': main });
    expect(made.buildEnvironment['GOFLAGS']).toContain('-trimpath');
    expect(made.phases.flatMap(({ commands }) => commands.flat()).join(' ')).not.toContain('-trimpath');
  });

  it('are those of vendor where there is one', () => {
    const [install] = plan({ ...locked, 'main.go': main, 'vendor/modules.txt': '' }).phases;
    expect(install?.reads).toEqual([]);
    expect(install?.commands.flat().join(' ')).not.toContain('gin');
  });

  it('that lie beside the module need the whole source', () => {
    const [install] = plan({ 'go.mod': `${mod}replace x => ../x\n`, 'go.sum': '', 'main.go': main }).phases;
    expect(install?.reads).toBe('all');
  });

  it('without a go.sum are told, and their checksums added', () => {
    const made = plan({ 'go.mod': mod, 'main.go': main });
    expect(made.notes[0]).toContain('no go.sum');
    expect(made.phases[1]?.commands[0]).toContain('-mod=mod');
  });
});

describe('a function', () => {
  const registered = 'package hello\n\nfunc init() { functions.HTTP("Hello", hello) }\n';

  it('gets a main package that serves it', () => {
    for (const handler of [undefined, 'Hello']) {
      const made = plan({ ...locked, 'function.go': registered }, handler ? { handler } : {});
      expect(textOf(made.source, 'cestx-main/main.go')).toContain('_ "example.com/app"');
      expect(made.environment).toEqual({ FUNCTION_TARGET: 'Hello' });
    }
  });

  it('that is only exported is served by its signature', () => {
    const http = 'package hello\n\nfunc Hello(w http.ResponseWriter, r *http.Request) {}\n';
    const event = 'package hello\n\nfunc Hello(ctx context.Context, e event.Event) error { return nil }\n';
    const source = (code: string) =>
      textOf(plan({ ...locked, 'f.go': code }, { handler: 'Hello' }).source, 'cestx-main/main.go');
    expect(source(http)).toContain('RegisterHTTPFunctionContext(context.Background(), "/", function.Hello)');
    expect(source(event)).toContain('RegisterCloudEventFunctionContext');
  });

  it('of a source with a program is served by that', () => {
    const made = plan({ ...locked, 'function.go': registered, 'cmd/main.go': main });
    expect(made.environment).toEqual({ FUNCTION_TARGET: 'Hello' });
    expect(made.phases.at(-2)?.commands.at(-1)?.at(-1)).toBe('./cmd');
  });

  it('that does not exist is told, and one of several is chosen by the user', () => {
    const two = registered.replace('}', 'functions.HTTP("Other", x) }');
    expect(() => plan({ ...locked, 'function.go': registered }, { handler: 'No' })).toThrow(
      'the function "No"',
    );
    expect(() => plan({ ...locked, 'function.go': two })).toThrow('several functions (Hello, Other)');
  });
});

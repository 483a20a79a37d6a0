import { describe, expect, test } from 'vitest';

import {
  applyScaleChange,
  CestxError,
  defaultScale,
  parseManifest,
  scaleChangeSchema,
  substitute,
} from '#contracts';

function problem(text: string): string {
  try {
    parseManifest(text);
  } catch (error) {
    if (error instanceof CestxError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('the manifest was accepted');
}

describe('defaults', () => {
  test('a name is enough, and every other setting has the documented default', () => {
    expect(parseManifest('name: echo-name')).toEqual({
      name: 'echo-name',
      build: { args: {} },
      env: {},
      resources: {
        cpu: 0.5,
        memory: 256 * 1024 * 1024,
        pids: 128,
        files: 8192,
        tmp: 64 * 1024 * 1024,
        logs: 16 * 1024 * 1024,
        network: true,
      },
      concurrency: 0,
      timeout: 30_000,
      scale: {
        min: 0,
        max: 20,
        metric: 'concurrency',
        window: 60_000,
        freezeAfter: 30_000,
        stopAfter: 300_000,
        removeAfter: 3_600_000,
      },
      triggers: [],
      delivery: {
        retry: 3,
        backoff: 'exponential',
        delay: 10_000,
        maxDelay: 120_000,
        maxAge: 21_600_000,
        deadLetter: true,
      },
      health: { startup: 30_000 },
    });
  });

  test('naming one key of a group keeps the defaults of its others', () => {
    expect(parseManifest('name: a\nresources: { cpu: 2 }').resources).toMatchObject({
      cpu: 2,
      memory: 256 * 1024 * 1024,
      pids: 128,
    });
  });
});

describe('values', () => {
  test.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
  ])('timeout %s is %i milliseconds', (text, expected) => {
    expect(parseManifest(`name: a\ntimeout: ${text}`).timeout).toBe(expected);
  });

  test.each([
    ['128Mi', 134_217_728],
    ['1Gi', 1_073_741_824],
    ['500M', 500_000_000],
  ])('memory %s is %i bytes', (text, expected) => {
    expect(parseManifest(`name: a\nresources: { memory: ${text} }`).resources.memory).toBe(expected);
  });

  test('the handler and the arguments of its build are read, and nothing else of a build', () => {
    const { handler, build } = parseManifest('name: a\nhandler: hello\nbuild: { args: { LEVEL: 3 } }');
    expect([handler, build]).toEqual(['hello', { args: { LEVEL: '3' } }]);
    expect(() => parseManifest('name: a\nbuild: { arg: {} }')).toThrow(
      'Unknown key "build.arg"; did you mean "args"?',
    );
    expect(() => parseManifest('name: a\nbuild: { secrets: [npm] }')).toThrow('Unknown key "build.secrets"');
  });

  test('numbers and booleans in env become the strings a process environment holds', () => {
    expect(parseManifest('name: a\nenv: { LEVEL: 3, DEBUG: true, WHO: Ada }').env).toEqual({
      LEVEL: '3',
      DEBUG: 'true',
      WHO: 'Ada',
    });
  });
});

describe('errors name the key', () => {
  test.each([
    ['name: a\ntimeuot: 3s', 'Unknown key "timeuot"; did you mean "timeout"?'],
    ['name: a\nresources: { mem: 1Gi, cpus: 1 }', 'Unknown key "resources.cpus"; did you mean "cpu"?'],
    ['name: a\nhealth: { pth: / }', 'Unknown key "health.pth"; did you mean "path"?'],
  ])('%j: a slip is told with the nearest known key', (text, expected) => {
    expect(problem(text)).toContain(expected);
  });

  test('a key that is near to none is told without a guess', () => {
    expect(problem('name: a\nzzzzzzzzzzzz: 1')).toMatch(/Unknown key "zzzzzzzzzzzz"\.$/);
  });

  test('every wrong key is told at once', () => {
    const text = problem('name: a\ntimeout: soon\nresources: { memory: lots }');
    expect(text).toContain('timeout: must be a duration');
    expect(text).toContain('resources.memory: must be a size');
  });

  test.each([
    ['name: Not_A_Label', 'name:'],
    ['name: -a', 'name:'],
    ['template: node', 'name:'],
    ['name: a\nresources: { memory: 1Mi }', 'resources.memory: must be at least 16Mi'],
    ['name: a\nresources: { files: 3 }', 'resources.files: '],
    ['name: a\nruntime: kata', 'runtime: '],
    ['name: a\ntimeout: 0s', 'timeout: must be between 1ms and 1h'],
    ['name: a\nhealth: { path: health }', 'health.path: must be a path that starts with /'],
  ])('%j is refused at %s', (text, expected) => {
    expect(problem(text)).toContain(expected);
  });

  test.each(['PORT', 'CESTX_FUNCTION', 'K_SERVICE'])('env.%s belongs to the platform', (name) => {
    expect(problem(`name: a\nenv: { ${name}: x }`)).toContain(`env.${name}: is set by the platform`);
  });
});

describe('what is not a manifest at all', () => {
  test('broken YAML is told with its line', () => {
    expect(problem('name: a\nenv: [')).toMatch(
      /^invalid-manifest: function\.yaml is not valid YAML: .*line 2/,
    );
  });

  test.each(['', '- name', 'just text'])('%j is refused', (text) => {
    expect(problem(text)).toMatch(/^invalid-manifest: function\.yaml:/);
  });

  test('aliases that multiply into a huge document are refused, not expanded', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf']) {
      bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(',')}]`);
    }
    expect(problem(bomb.join('\n'))).toMatch(/^invalid-manifest/);
  });
});

describe('substitution', () => {
  test('a set variable is taken, an unset or empty one has its default', () => {
    const text = substitute('${GREETING:-Hello} ${WHO:-you} ${EMPTY:-x}', { GREETING: 'Hi', EMPTY: '' });
    expect(text).toBe('Hi you x');
  });

  test('an unset variable without a default is an error that names it', () => {
    expect(() => substitute('name: ${NAME}', {})).toThrow(/\$\{NAME\}, which is not set/);
  });

  test('a lone dollar is left alone', () => {
    expect(substitute('cost: $5 ${', {})).toBe('cost: $5 ${');
  });
});

describe('a change of scale', () => {
  const change = (given: object) => applyScaleChange(defaultScale, scaleChangeSchema.parse(given));

  test('keeps what it does not name, and null takes a setting away', () => {
    const changed = change({ min: 2, freezeAfter: '5s', target: 7 });
    expect(changed).toEqual({ ...defaultScale, min: 2, freezeAfter: 5000, target: 7 });
    expect(applyScaleChange(changed, { target: null })).not.toHaveProperty('target');
  });

  test('that contradicts itself is refused', () => {
    expect(() => change({ min: 21 })).toThrow('max (20) must not be smaller than min (21)');
    expect(() => change({ mim: 2 })).toThrow(/mim/);
    expect(() => change({ min: null })).toThrow();
  });
});

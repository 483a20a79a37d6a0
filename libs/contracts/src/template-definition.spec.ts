import { describe, expect, it, test } from 'vitest';

import { argumentsFor, parseTemplate } from './template-definition.ts';

describe('template.yaml', () => {
  it('needs nothing but a name', () => {
    expect(parseTemplate('name: rust')).toEqual({
      name: 'rust',
      description: '',
      args: {},
      detect: [],
      health: {},
    });
  });

  it('declares arguments, what tells it, and how a function of it shows that it is well', () => {
    const text = `name: rust
description: Rust with cargo
args: { RUST_VERSION: "1.80", RELEASE: true, BIN: }
detect: [Cargo.toml, src/main.rs]
health: { path: /healthz, startup: 90s }`;
    expect(parseTemplate(text)).toEqual({
      name: 'rust',
      description: 'Rust with cargo',
      args: { RUST_VERSION: '1.80', RELEASE: 'true', BIN: null },
      detect: ['Cargo.toml', 'src/main.rs'],
      health: { path: '/healthz', startup: 90_000 },
    });
  });

  it.each([
    ['', 'template.yaml: '],
    ['name: Rust', 'name: must be a name'],
    ['name: node', 'always there'],
    ['name: a\ndetects: [x]', 'unknown key "detects"; there are name, description, args, detect, health'],
    ['name: a\nhealth: { port: 1 }', 'health: unknown key "port"; there are path, startup'],
    ['name: a\ndetect: [../x]', 'detect.0: must be the path of a file'],
    ['name: a\ndetect: [/etc/passwd]', 'detect.0: '],
    ['name: a\nargs: { "A B": 1 }', 'args.A B: '],
    ['name: [', 'not valid YAML'],
  ])('that is wrong is told by key: %j', (text, message) => {
    expect(() => parseTemplate(text)).toThrow(message);
  });
});

test('arguments are the template’s own, then the function’s; unknown and missing ones are named', () => {
  const template = { name: 'rust', args: { VERSION: '1', BIN: null } };
  expect(argumentsFor(template, { BIN: 'web' })).toEqual({ VERSION: '1', BIN: 'web' });
  expect(() => argumentsFor(template, {})).toThrow('needs a value for BIN');
  expect(() => argumentsFor(template, { BIN: 'x', OTHER: '1' })).toThrow(
    'no argument OTHER; there are VERSION, BIN',
  );
});

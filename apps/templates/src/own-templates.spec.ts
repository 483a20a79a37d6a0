import { describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';

import { chooseOwnTemplate } from './choose-own-template.ts';
import { readTemplate, withRecipe } from './read-template.ts';

describe('a template of one’s own', () => {
  const own = [
    { name: 'rust', detect: ['Cargo.toml'] },
    { name: 'rust-nightly', detect: ['rust-toolchain.toml'] },
    { name: 'plain', detect: [] },
  ];
  const choose = (paths: string[], settings = {}) =>
    chooseOwnTemplate(sourceOf(Object.fromEntries(paths.map((path) => [path, '']))), settings, own);

  it('is taken where the manifest names it, or a file tells it', () => {
    expect(choose([], { template: 'plain' })?.own.name).toBe('plain');
    expect(choose(['Cargo.toml', 'package.json'])).toEqual({ own: own[0], reason: 'there is a Cargo.toml' });
  });

  it('is left alone where another is meant', () => {
    expect(choose(['Cargo.toml'], { template: 'node' })).toBeNull();
    expect(choose(['Cargo.toml'], { image: 'redis' })).toBeNull();
    expect(choose(['Cargo.toml', 'Dockerfile'])).toBeNull();
    expect(choose(['sub/Cargo.toml'])).toBeNull();
  });

  it('is asked for when there is none of that name, or more than one fits', () => {
    expect(() => choose([], { template: 'cobol' })).toThrow(
      'There is no template "cobol"; there are node, python, go, dockerfile, image, rust, rust-nightly, plain.',
    );
    expect(() => choose(['Cargo.toml', 'rust-toolchain.toml'])).toThrow(
      'More than one template fits this source: rust, rust-nightly;',
    );
  });
});

describe('the folder of a template', () => {
  const files = {
    'template.yaml': 'name: rust\nargs: { VERSION: "1" }',
    Dockerfile: 'ARG VERSION=0\nFROM rust:${VERSION}\n',
    'start.sh': 'exec "$@"',
    'sample/main.rs': 'fn main() {}',
  };

  it('is read as declaration, recipe and sample', () => {
    const { definition, recipe, sample } = readTemplate(sourceOf(files));
    expect(definition.name).toBe('rust');
    expect(recipe.map(({ path }) => path)).toEqual(['Dockerfile', 'start.sh']);
    expect(sample.files.map(({ path }) => path)).toEqual(['main.rs']);
  });

  it.each([
    [{ 'template.yaml': undefined }, 'there is no template.yaml'],
    [{ Dockerfile: undefined }, 'there is no Dockerfile beside template.yaml'],
    [{ 'sample/main.rs': undefined }, 'there is no folder "sample"'],
    [{ Dockerfile: 'FROM rust\n# ARG VERSION\n' }, 'args.VERSION is not an argument of its Dockerfile'],
  ])('is refused with what is missing: %j', (change, message) => {
    const kept = Object.entries({ ...files, ...change }).filter((entry) => entry[1] !== undefined);
    expect(() => readTemplate(sourceOf(Object.fromEntries(kept) as Record<string, string>))).toThrow(message);
  });

  it('lies beside the source in a build, where the source has no say', () => {
    const source = sourceOf({ 'main.rs': '', '.cestx/Dockerfile': 'FROM evil', Dockerfile: 'FROM own' });
    const { files: merged } = withRecipe(source, readTemplate(sourceOf(files)).recipe);
    const texts = Object.fromEntries(merged.map(({ path, content }) => [path, content.toString()]));
    expect(Object.keys(texts).toSorted()).toEqual([
      '.cestx/Dockerfile',
      '.cestx/start.sh',
      'Dockerfile',
      'main.rs',
    ]);
    expect(texts['.cestx/Dockerfile']).toBe(files.Dockerfile);
  });
});

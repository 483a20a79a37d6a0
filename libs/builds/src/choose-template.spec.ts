import { describe, expect, it } from 'vitest';

import { sourceOf } from './source-tree.ts';
import { chooseTemplate } from './choose-template.ts';

const choose = (paths: string[], template?: string, image?: string) =>
  chooseTemplate(sourceOf(Object.fromEntries(paths.map((path) => [path, '']))), { template, image });

describe('the template', () => {
  it('is the one the manifest names', () => {
    expect(choose(['Dockerfile', 'package.json'], 'node').template).toBe('node');
  });

  it('is guessed from the files at the top, a Dockerfile first, and the reason told', () => {
    expect(choose(['Dockerfile', 'package.json'])).toEqual({
      template: 'dockerfile',
      reason:
        'there is a Dockerfile (and a package.json: name "template: node" in function.yaml to use that)',
    });
    expect(choose(['package.json', 'server.js']).template).toBe('node');
    expect(choose(['go.mod', 'main.go']).template).toBe('go');
    expect(choose(['requirements.txt', 'package.json']).template).toBe('python');
    expect(choose(['main.py']).template).toBe('python');
  });

  it('that does not exist is refused with those that do', () => {
    expect(() => choose(['package.json'], 'cobol')).toThrow(
      'There is no template "cobol"; there are node, python, go, dockerfile, image.',
    );
  });

  it('is an image where the manifest names one, and nothing else beside it', () => {
    expect(choose(['package.json'], undefined, 'redis').template).toBe('image');
    expect(choose([], 'image', 'redis').template).toBe('image');
    expect(() => choose([], 'image')).toThrow('name it in function.yaml');
    expect(() => choose(['package.json'], 'node', 'redis')).toThrow('leave one of them out');
  });

  it('that cannot be guessed is told with the likely mistake', () => {
    expect(() => choose(['main.c'])).toThrow('is none of Dockerfile, go.mod');
    expect(() => choose(['app/package.json', 'app/x.js'])).toThrow(
      'in the folder "app"; pack what is inside it',
    );
  });
});

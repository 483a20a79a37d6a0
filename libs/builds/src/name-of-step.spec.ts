import { expect, it } from 'vitest';

import { nameOfStep } from './name-of-step.ts';

it.each([
  [['npm', 'ci', '--omit=dev'], 'npm ci'],
  [['npm', 'run', 'build'], 'npm run build'],
  [
    ['env', 'CI=true', 'npm', 'exec', '--yes', '--package=pnpm@9', '--', 'pnpm', 'install', '--prod'],
    'pnpm install',
  ],
  [['.venv/bin/python', '-m', 'pip', 'install', '-r', 'requirements.txt'], 'pip install'],
  [
    ['/bin/sh', '-c', '.venv/bin/python -c "import x" 2>/dev/null || .venv/bin/python -m pip install x==1'],
    'pip install',
  ],
  [['python3', '-m', 'venv', '.venv'], 'venv'],
  [['.venv/bin/uv', 'sync', '--locked'], 'uv sync'],
  [['go', 'build', '-trimpath', '-o', 'bin/app', './cmd/x'], 'go build'],
  [['go', 'mod', 'download'], 'go mod'],
])('%j is called %s in a message', (argv, name) => {
  expect(nameOfStep(argv)).toBe(name);
});

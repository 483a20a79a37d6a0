import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Runs every benchmark, or those whose names are given, one after the other. */
const wanted = process.argv.slice(2);
const folder = import.meta.dirname;
const files = (await readdir(folder)).filter((file) => file.endsWith('.bench.ts')).sort();
for (const file of files) {
  if (wanted.length > 0 && !wanted.some((name) => file.startsWith(name))) continue;
  const child = spawn(process.execPath, [join(folder, file)], { stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) process.exitCode = 1;
}

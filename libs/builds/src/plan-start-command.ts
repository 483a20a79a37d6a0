import { type SourceTree, textOf } from './source-tree.ts';

/** What the `web:` line of a Procfile says; it has no other purpose than to say how a program starts. */
export function procfileWeb(source: SourceTree): string | undefined {
  return /^web:[ \t]*(.+?)[ \t\r]*$/m.exec(textOf(source, 'Procfile') ?? '')?.[1];
}

/** One plain command runs without a shell in between, and of a shell it takes the place: SIGTERM reaches the program itself. */
export function argvOf(command: string): string[] {
  if (/^[\w@%+:,./-]+( +[\w@%+:,./=-]+)*$/.test(command)) return command.split(/ +/);
  return inShell(command);
}

/** A command line that needs a shell, for `$PORT` or more. */
export function inShell(command: string): string[] {
  const simple = !/[;&|<>()`\n]/.test(command) && !/^\w+=|^exec /.test(command);
  return ['/bin/sh', '-c', simple ? `exec ${command}` : command];
}

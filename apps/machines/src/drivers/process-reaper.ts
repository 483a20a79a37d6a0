import { spawn, type ChildProcess } from 'node:child_process';

/**
 * A shell that outlives us by an instant: when its input ends, because we ended, however we ended, it kills every process
 * group and every member of every cgroup it was told of. `--pdeathsig` alone reaches only the first process of a machine.
 * Frozen ones are let go after their signal, for only then it reaches them (cgroup v1).
 */
const script = `
trap '' INT TERM HUP
known=' '
while read -r act group files; do
  entry="$group:$(printf %s "$files" | tr ' ' ,)"
  if [ "$act" = add ]; then known="$known$entry "
  else
    rest=' '
    for each in $known; do [ "\${each%%:*}" = "$group" ] || rest="$rest$each "; done
    known="$rest"
  fi
done
for each in $known; do
  kill -KILL -- "-\${each%%:*}" 2>/dev/null
  for file in $(printf %s "\${each#*:}" | tr , ' '); do
    for pid in $(cat "$file" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
    state="\${file%/*}/freezer.state"
    [ -e "$state" ] && echo THAWED > "$state"
  done
done
`;

export class ProcessReaper {
  readonly #known = new Map<number, readonly string[]>();
  #shell: ChildProcess | null = null;
  #closed = false;

  open(): void {
    if (this.#closed) return;
    // A session of its own, so that Ctrl-C in a terminal does not end it with the rest.
    const shell = spawn('sh', ['-c', script], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    this.#shell = shell;
    shell.unref();
    shell.stdin?.on('error', () => undefined);
    shell.once('exit', () => {
      if (this.#shell === shell) this.open();
    });
    for (const [group, files] of this.#known) this.#write('add', group, files);
  }

  add(group: number, cgroupFiles: readonly string[]): void {
    this.#known.set(group, cgroupFiles);
    this.#write('add', group, cgroupFiles);
  }

  delete(group: number): void {
    this.#known.delete(group);
    this.#write('delete', group, []);
  }

  close(): void {
    this.#closed = true;
    this.#shell?.stdin?.end();
    this.#shell = null;
  }

  #write(act: 'add' | 'delete', group: number, files: readonly string[]): void {
    this.#shell?.stdin?.write(`${act} ${group} ${files.join(' ')}\n`);
  }
}

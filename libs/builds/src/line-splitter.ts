/** The feed's own limit, in characters of at most 4 bytes: a longer line goes on as the next one. */
const maxLineLength = 4096;

/** Makes lines of output that comes in pieces. Colours and the bare returns of progress bars are left out. */
export class LineSplitter {
  readonly #give: (line: string) => void;
  #rest = '';

  constructor(give: (line: string) => void) {
    this.#give = give;
  }

  write(piece: string): void {
    const lines = (this.#rest + piece).split(/\r?\n|\r/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#giveLine(line);
    if (this.#rest.length > maxLineLength) this.end();
  }

  end(): void {
    if (this.#rest !== '') this.#giveLine(this.#rest);
    this.#rest = '';
  }

  #giveLine(line: string): void {
    // oxlint-disable-next-line no-control-regex
    const plain = line.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').trimEnd();
    if (plain === '') return;
    for (let start = 0; start < plain.length; start += maxLineLength) {
      this.#give(plain.slice(start, start + maxLineLength));
    }
  }
}

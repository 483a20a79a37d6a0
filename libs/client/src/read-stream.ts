/** The lines of an answer as they come. */
export async function* readLines(answer: Response): AsyncGenerator<string> {
  if (!answer.body) return;
  let rest = '';
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  if (rest) yield rest;
}

/** Server-sent events; comments are passed over. */
export async function* readEvents(answer: Response): AsyncGenerator<{ name: string; data: string }> {
  let name = 'message';
  let data: string[] = [];
  for await (const line of readLines(answer)) {
    if (line === '') {
      if (data.length > 0) yield { name, data: data.join('\n') };
      name = 'message';
      data = [];
      continue;
    }
    const [, field, value = ''] = /^([a-z]+):? ?(.*)$/.exec(line) ?? [];
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
}

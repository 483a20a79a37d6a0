import { styleText } from 'node:util';

/** What the reader's terminal can show. */
export interface Style {
  colour: boolean;
  unicode: boolean;
  /** Characters in a line. */
  width: number;
}

export type Tint = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'blue';

export function paint(text: string, tint: Tint, style: Style): string {
  return style.colour ? styleText(tint, text, { validateStream: false }) : text;
}

interface Screen {
  isTTY?: boolean;
  columns?: number;
}

/** Colour only on a terminal and never with NO_COLOR; line drawing only where the locale says UTF-8. */
export function styleFor(screen: Screen, environment: Readonly<Record<string, string | undefined>>): Style {
  const terminal = screen.isTTY === true;
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return {
    colour: terminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb',
    unicode: /utf-?8/i.test(locale),
    width: Math.max(40, Math.min(screen.columns ?? 100, 200)),
  };
}

/** Shortens to `width` characters, with a mark where something was left out. */
export function clip(text: string, width: number, style: Style): string {
  if (text.length <= width) return text;
  const mark = style.unicode ? '…' : '~';
  return width <= 1 ? mark.slice(0, Math.max(0, width)) : text.slice(0, width - 1) + mark;
}

/** Milliseconds as people read them: `0.4 ms`, `12 ms`, `1.25 s`, `2 m 05 s`. */
export function renderDuration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/** Bytes as people read them: `512 KiB`, `31.5 MiB`, `1.5 GiB`. */
export function renderBytes(bytes: number): string {
  if (bytes < 1024 ** 2) return `${Math.round(bytes / 1024)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

/** Text of strangers without the control characters that could drive a terminal. */
export function harmless(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

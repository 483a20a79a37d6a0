import { posix } from 'node:path';

import type { SourceTree } from '#builds';

interface Rule {
  readonly parts: readonly string[];
  readonly keeps: boolean;
}

/**
 * What is left of a source without what its `.dockerignore` names, by the engine's rules (moby/patternmatcher): patterns
 * start at the top, a folder takes along what is in it, and the last pattern that fits decides. Patterns are matched step by
 * step and never become regular expressions, with which a hostile one could keep us busy for hours.
 */
export function withoutIgnored(tree: SourceTree, ignoreText: string): SourceTree {
  const rules = readRules(ignoreText);
  if (rules.length === 0) return tree;
  const kept = (path: string) => !isIgnored(path.split('/'), rules);
  return { folders: tree.folders.filter(kept), files: tree.files.filter(({ path }) => kept(path)) };
}

function readRules(text: string): Rule[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .flatMap((line) => {
      if (line.startsWith('#')) return [];
      const trimmed = line.trim();
      const keeps = trimmed.startsWith('!');
      const pattern = posix.normalize(trimmed.slice(keeps ? 1 : 0).trim()).replace(/^\/|\/$/g, '');
      return ['', '.'].includes(pattern) ? [] : [{ parts: pattern.split('/'), keeps }];
    });
}

function isIgnored(path: readonly string[], rules: readonly Rule[]): boolean {
  const last = rules.findLast(({ parts }) => fits(parts, path));
  return last !== undefined && !last.keeps;
}

/** Whether the parts fit the path, or a folder above it. */
function fits(parts: readonly string[], path: readonly string[]): boolean {
  // How many names of the path the parts so far may have used up.
  let used = new Set([0]);
  for (const [index, part] of parts.entries()) {
    const next = new Set<number>();
    for (const at of used) {
      if (part === '**') {
        const least = index === parts.length - 1 ? at + 1 : at;
        for (let to = least; to <= path.length; to++) next.add(to);
      } else if (at < path.length && nameFits(part, path[at] ?? '')) next.add(at + 1);
    }
    used = next;
  }
  return used.size > 0;
}

/** Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a]` and a backslash before what is meant as it is. */
function nameFits(pattern: string, name: string): boolean {
  const tokens = pattern.match(/\\.|\[\^?(?:\\.|[^\]\\])+\]|[^]/gu) ?? [];
  const characters = [...name];
  let [token, at, star, starAt] = [0, 0, -1, 0];
  while (at < characters.length) {
    const wanted = tokens[token];
    if (wanted === '*') {
      [star, starAt] = [token, at];
      token += 1;
    } else if (wanted !== undefined && characterFits(wanted, characters[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      starAt += 1;
      [token, at] = [star + 1, starAt];
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === '*');
}

function characterFits(token: string, character: string): boolean {
  if (token === '?') return true;
  if (token.length === 1) return token === character;
  if (token.startsWith('\\')) return token.slice(1) === character;
  if (!token.startsWith('[')) return token === character;
  const negated = token.startsWith('[^');
  const members = token.slice(negated ? 2 : 1, -1).match(/(\\.|[^])(?:-(\\.|[^]))?/gu) ?? [];
  const within = members.some((member) => {
    const [low = '', high = low] = member.length > 2 || member.startsWith('\\') ? rangeOf(member) : [member];
    return low <= character && character <= high;
  });
  return within !== negated;
}

function rangeOf(member: string): string[] {
  const [, low = '', high] = /^(\\.|[^])(?:-(\\.|[^]))?$/u.exec(member) ?? [];
  return [low, high ?? low].map((end) => end.replace(/^\\(?=.)/u, ''));
}

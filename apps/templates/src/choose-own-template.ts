import { findFile, type SourceTree } from '#builds';
import { builtInTemplates, CestxError, type BuildSettings, type TemplateDefinition } from '#contracts';

type Declared = Pick<TemplateDefinition, 'name' | 'detect'>;

/**
 * The project's own template to build with, and why; null when one of those that are always there is meant. A Dockerfile in
 * the source goes before any detection rule, and an own rule before the built-in ones.
 */
export function chooseOwnTemplate<T extends Declared>(
  tree: SourceTree,
  { template: wanted, image }: Pick<BuildSettings, 'template' | 'image'>,
  own: readonly T[],
): { own: T; reason: string } | null {
  if (wanted !== undefined) {
    if (builtInTemplates.some((name) => name === wanted)) return null;
    const named = own.find(({ name }) => name === wanted);
    if (named) return { own: named, reason: 'the manifest names it' };
    const names = [...builtInTemplates, ...own.map(({ name }) => name)];
    throw new CestxError('bad-request', `There is no template "${wanted}"; there are ${names.join(', ')}.`);
  }
  if (image !== undefined || findFile(tree, 'Dockerfile')) return null;
  const fitting = own.flatMap((one) => {
    const file = one.detect.find((path) => findFile(tree, path));
    return file === undefined ? [] : [{ own: one, reason: `there is a ${file}` }];
  });
  if (fitting.length > 1) {
    const names = fitting.map(({ own: { name } }) => name);
    throw new CestxError(
      'bad-request',
      `More than one template fits this source: ${names.join(', ')}; name the one that is meant as "template:" in function.yaml.`,
    );
  }
  return fitting[0] ?? null;
}

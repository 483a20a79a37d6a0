import { findFile, type SourceFile, type SourceTree, textOf } from '#builds';
import { CestxError, parseTemplate, type TemplateDefinition } from '#contracts';

/** Where the files of a template lie in the context of a build, beside those of the source. */
export const templateFolder = '.cestx';
export const templateDockerfile = `${templateFolder}/Dockerfile`;
const sampleFolder = 'sample/';

export interface ReadTemplate {
  readonly definition: TemplateDefinition;
  /** The Dockerfile and what lies beside it. */
  readonly recipe: readonly SourceFile[];
  /** A source to try it with. */
  readonly sample: SourceTree;
}

/** Reads the folder of a template. Throws `invalid-template` with what is missing or wrong. */
export function readTemplate(tree: SourceTree): ReadTemplate {
  const text = textOf(tree, 'template.yaml');
  if (text === undefined) throw invalid('there is no template.yaml at its top');
  const definition = parseTemplate(text);
  const dockerfile = textOf(tree, 'Dockerfile');
  if (dockerfile === undefined) throw invalid('there is no Dockerfile beside template.yaml');
  for (const name of Object.keys(definition.args)) {
    if (!new RegExp(`^\\s*ARG\\s+(?:.*\\s)?${name}(?:[\\s=]|$)`, 'im').test(dockerfile)) {
      throw invalid(`args.${name} is not an argument of its Dockerfile; add a line "ARG ${name}"`);
    }
  }
  const sample = inFolder(tree, sampleFolder);
  if (sample.files.length === 0) {
    throw invalid('there is no folder "sample" with a source to try it with');
  }
  const recipe = tree.files.filter(({ path }) => path !== 'template.yaml' && !path.startsWith(sampleFolder));
  return { definition, recipe, sample };
}

/** The context of a build: the source, and the files of the template in a folder that no source has a say in. */
export function withRecipe(source: SourceTree, recipe: readonly SourceFile[]): SourceTree {
  const own = (path: string) => path === templateFolder || path.startsWith(`${templateFolder}/`);
  return {
    folders: source.folders.filter((path) => !own(path)),
    files: [
      ...source.files.filter(({ path }) => !own(path)),
      ...recipe.map((file) => ({ ...file, path: `${templateFolder}/${file.path}` })),
    ],
  };
}

function inFolder(tree: SourceTree, folder: string): SourceTree {
  return {
    folders: tree.folders.filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length)),
    files: tree.files
      .filter(({ path }) => path.startsWith(folder))
      .map((file) => ({ ...file, path: file.path.slice(folder.length) })),
  };
}

/** The function.yaml of a sample, for the arguments it is tried with. */
export function manifestOf(source: SourceTree): string | undefined {
  return findFile(source, 'function.yaml')?.content.toString('utf8');
}

function invalid(why: string): CestxError {
  return new CestxError('invalid-template', `This is not a template: ${why}.`);
}

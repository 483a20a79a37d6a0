/** How sources and bills of materials are called in the object store. */
export const uploadPrefix = 'uploads/';

export function uploadName(uploadId: string): string {
  return `${uploadPrefix}${uploadId}`;
}

export const sourcePrefix = 'sources/';

export function sourceName(digest: string): string {
  return `${sourcePrefix}${digest}`;
}

export const sbomPrefix = 'sboms/';

export function sbomName(buildId: string): string {
  return `${sbomPrefix}${buildId}`;
}

export function digestIn(name: string): string {
  return name.slice(sourcePrefix.length);
}

/** How sources are called in the object store. */
export const uploadPrefix = 'uploads/';

export function uploadName(uploadId: string): string {
  return `${uploadPrefix}${uploadId}`;
}

export function sourceName(digest: string): string {
  return `sources/${digest}`;
}

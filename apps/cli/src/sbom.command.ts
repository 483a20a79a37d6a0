import { UsageError } from './explain-error.ts';
import type { Session } from './session.ts';

/** The bill of materials of a revision, the live one when none is named; always JSON, because it is for other programs. */
export async function sbom(session: Session, name: string, wanted: string | undefined): Promise<number> {
  const { client } = session;
  const { items } = await client.listRevisions(name, { limit: 500 });
  const found = items.find(({ revision, state }) =>
    wanted === undefined
      ? state === 'live'
      : [wanted, `${name}-v${wanted}`].includes(revision) || revision === `${name}-${wanted}`,
  );
  if (!found) {
    throw new UsageError(
      wanted === undefined
        ? `${name} has no live revision.`
        : `${name} has no revision "${wanted}"; it has ${items.map(({ revision }) => revision).join(', ') || 'none'}.`,
    );
  }
  session.printJson(await client.getSbom(found.deploymentId));
  return 0;
}

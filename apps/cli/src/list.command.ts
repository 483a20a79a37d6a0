import { renderTable, type FunctionDescription } from '#client';

import type { Session } from './session.ts';

/** Every function there is. */
export async function list(session: Session): Promise<number> {
  const items: FunctionDescription[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof session.client.listFunctions>> = await session.client.listFunctions(
      cursor === null ? {} : { cursor },
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  if (session.json) session.printJson({ items });
  else if (items.length === 0)
    session.print('There is no function yet. `cestx deploy <folder>` makes the first.');
  else {
    session.print(
      renderTable(
        [
          { title: 'name', value: (item: FunctionDescription) => item.name },
          { title: 'state', value: (item) => item.state },
          { title: 'revision', value: (item) => item.revision ?? '-' },
          { title: 'template', value: (item) => item.template ?? '-' },
          { title: 'url', value: (item) => item.url ?? '-' },
          { title: 'updated', value: (item) => item.updatedAt.replace(/\.\d+Z$/, 'Z') },
        ],
        items,
        session.style,
      ),
    );
  }
  return 0;
}

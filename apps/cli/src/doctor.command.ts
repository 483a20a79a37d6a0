import { harmless, paint, type Style } from '#client';

import { checkDriver, checkKey, checkPlatform } from './check-platform.ts';
import { checkDisk, checkDns, checkEngine, checkNode, type Finding } from './check-surroundings.ts';
import { findKey } from './find-key.ts';
import type { Session } from './session.ts';

/** Looks at everything a function needs and says what to do about what is wrong. */
export async function doctor(session: Session): Promise<number> {
  const { client, url, surroundings } = session;
  const { environment, folder } = surroundings;
  const found = await findKey(environment, folder);
  const platform = await checkPlatform(client, url);
  const reachable = platform[0]?.state === 'ok';
  const findings = [
    checkNode(process.version),
    ...platform,
    ...(reachable ? [await checkKey(client, found), ...(await checkDriver(client))] : []),
    await checkDns(environment),
    await checkEngine(environment),
    await checkDisk(environment, folder),
  ];
  const healthy = findings.every((finding) => finding.state !== 'failed');
  if (session.json) session.printJson({ healthy, findings });
  else for (const finding of findings) session.print(renderFinding(finding, session.style));
  return healthy ? 0 : 1;
}

export function renderFinding(finding: Finding, style: Style): string {
  const signs = {
    ok: paint(style.unicode ? '✓' : '+', 'green', style),
    warning: paint('!', 'yellow', style),
    failed: paint(style.unicode ? '✗' : 'x', 'red', style),
  };
  const line = `${signs[finding.state]} ${finding.name.padEnd(18)} ${harmless(finding.detail)}`;
  return finding.help ? `${line}\n  ${' '.repeat(18)} ${finding.help}` : line;
}

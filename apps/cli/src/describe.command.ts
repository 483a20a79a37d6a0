import {
  paint,
  renderFacts,
  renderFailure,
  renderStep,
  renderTable,
  type Deployment,
  type Machine,
  type RevisionDescription,
} from '#client';

import type { Session } from './session.ts';

/** One function: its facts, its machines, its revisions and how its last deployment went. */
export async function describe(session: Session, name: string): Promise<number> {
  const { client, style } = session;
  const about = await client.getFunction(name);
  const [machines, revisions, deployment] = await Promise.all([
    client.listMachines({ function: name }),
    client.listRevisions(name),
    client.getDeployment(about.lastDeploymentId).catch(() => null),
  ]);
  if (session.json) {
    session.printJson({ ...about, machines: machines.items, revisions: revisions.items, deployment });
    return 0;
  }
  session.print(
    renderFacts(
      [
        ['name', about.name],
        ['state', about.state],
        ['url', about.url],
        ['call', `${session.url}/function/${about.name}`],
        ['revision', about.revision],
        ['template', about.template],
        ['created', about.createdAt],
        ['updated', about.updatedAt],
        ['deployment', about.lastDeploymentId],
      ],
      style,
    ),
  );
  section(session, 'machines', machines.items.length > 0 ? machineTable(machines.items, session) : null);
  section(session, 'revisions', revisions.items.length > 0 ? revisionTable(revisions.items, session) : null);
  if (deployment)
    section(session, `last ${deployment.kind}: ${deployment.state}`, steps(deployment, session));
  return 0;
}

function section(session: Session, title: string, text: string | null): void {
  session.print(`\n${paint(title, 'bold', session.style)}\n${text ?? 'none'}`);
}

function machineTable(machines: Machine[], session: Session): string {
  return renderTable(
    [
      { title: 'machine', value: (machine: Machine) => machine.id },
      { title: 'revision', value: (machine) => machine.revision },
      { title: 'state', value: (machine) => machine.state },
      { title: 'driver', value: (machine) => machine.driver },
      { title: 'address', value: (machine) => machine.address ?? '-' },
    ],
    machines,
    session.style,
  );
}

function revisionTable(revisions: RevisionDescription[], session: Session): string {
  return renderTable(
    [
      { title: 'revision', value: (revision: RevisionDescription) => revision.revision },
      { title: 'state', value: (revision) => revision.state },
      { title: 'template', value: (revision) => revision.template },
      { title: 'source', value: (revision) => revision.sourceDigest.slice(0, 12) },
      { title: 'created', value: (revision) => revision.createdAt },
    ],
    revisions,
    session.style,
  );
}

function steps(deployment: Deployment, session: Session): string {
  const lines = deployment.steps.map((step) => renderStep(step, session.style));
  if (deployment.error) lines.push('', renderFailure(deployment.error, null, session.style));
  if (deployment.traceId) lines.push('', paint(`cestx trace ${deployment.traceId}`, 'dim', session.style));
  return lines.join('\n');
}

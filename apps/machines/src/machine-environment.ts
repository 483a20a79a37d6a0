import type { MachineSpec } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';

/** What the outside is promised a function finds in its environment, beside `PORT`. Its own values never win over these. */
export function machineEnvironment(
  machine: Pick<MachineRow, 'id' | 'project' | 'function' | 'revision' | 'settings'>,
  otlpEndpoint: string | undefined,
): Record<string, string> {
  const exporting: Record<string, string> = otlpEndpoint
    ? { OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint, OTEL_SERVICE_NAME: machine.function }
    : {};
  return {
    ...exporting,
    ...machine.settings.env,
    CESTX_FUNCTION: machine.function,
    CESTX_REVISION: machine.revision,
    CESTX_PROJECT: machine.project,
    CESTX_MACHINE: machine.id,
    K_SERVICE: machine.function,
    K_REVISION: machine.revision,
  };
}

export function specOf(machine: MachineRow, otlpEndpoint: string | undefined): MachineSpec {
  return {
    id: machine.id,
    project: machine.project,
    function: machine.function,
    revision: machine.revision,
    artifact: machine.artifact,
    resources: machine.settings.resources,
    ...(machine.settings.runtime ? { runtime: machine.settings.runtime } : {}),
    environment: machineEnvironment(machine, otlpEndpoint),
  };
}

import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { MachineExited } from '#contracts';

import { LogPump } from './log-pump.ts';
import type { MachineExit } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';
import { backoffAfter, countExits } from './plan-machines.ts';

/** Notes and tells that a machine ended that should not have; one that does so again and again waits longer each time. */
@Injectable()
export class MachineExits {
  constructor(
    private readonly machines: MachineStore,
    private readonly pump: LogPump,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async note(row: MachineRow, exit: MachineExit | null, reason: string): Promise<void> {
    const restarts = exit?.withPlatform
      ? row.restarts
      : countExits(row.restarts, row.runningSince, Date.now());
    const wait = exit?.withPlatform ? 0 : backoffAfter(restarts);
    const exitCode = exit?.code ?? null;
    const lastLines = this.pump.lastLines(row.id);
    await this.machines.transaction(async (tx) => {
      const change = { state: 'failed', restarts, retryAt: new Date(Date.now() + wait), reason } as const;
      if (!(await this.machines.markDown(tx, row, change))) return;
      const { id: machineId, project, function: name } = row;
      await tx.emit(MachineExited, machineId, {
        machineId,
        project,
        function: name,
        exitCode,
        reason,
        lastLines,
      });
    });
    this.logger.warn({ machine: row.id, function: row.function, reason, restarts }, 'machine exited');
  }
}

import { Module } from '@nestjs/common';

import { defineRoom, ROOM_CONFIG } from '#boot';

import { Admission } from './admission.ts';
import { ActivityBook } from './activity-book.ts';
import { AdjustMachinesHandler } from './adjust-machines.handler.ts';
import { CHOSEN_DRIVER } from './chosen-driver.ts';
import { CreateMachine1763700100000 } from './create-machine.migration.ts';
import { Demand } from './demand.ts';
import { DrainMachinesHandler } from './drain-machines.handler.ts';
import { ExpireMachinesLoop } from './expire-machines.loop.ts';
import { FleetRow } from './fleet.entity.ts';
import { GetCapacityQuery } from './get-capacity.query.ts';
import { FunctionWaker } from './function-waker.ts';
import { GetDriverQuery } from './get-driver.query.ts';
import { GetMachineQuery } from './get-machine.query.ts';
import { ListMachineSamplesQuery } from './list-machine-samples.query.ts';
import { ListMachinesQuery } from './list-machines.query.ts';
import { LogPump } from './log-pump.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook } from './machine-book.ts';
import { MachineExits } from './machine-exits.ts';
import { MachineRest } from './machine-rest.ts';
import { MachineRunner } from './machine-runner.ts';
import { MachineRow, RemovedMachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';
import { machinesConfig, type MachinesConfig } from './machines.config.ts';
import { MakeRoom } from './make-room.ts';
import { MoveMachineHandler } from './move-machine.handler.ts';
import { pickDriver } from './pick-driver.ts';
import { ReconcileMachinesLoop } from './reconcile-machines.loop.ts';
import { RemoveMachineHandler } from './remove-machine.handler.ts';
import { RestMachines1764500000000 } from './rest-machines.migration.ts';
import { RestMachinesLoop } from './rest-machines.loop.ts';
import { RouteTable } from './route-table.ts';
import { SampleMachinesLoop } from './sample-machines.loop.ts';
import { StartMachineHandler } from './start-machine.handler.ts';
import { WaitForMachineQuery } from './wait-for-machine.query.ts';
import { WakeFunctionQuery } from './wake-function.query.ts';

@Module({
  controllers: [
    StartMachineHandler,
    RemoveMachineHandler,
    DrainMachinesHandler,
    MoveMachineHandler,
    AdjustMachinesHandler,
    ListMachinesQuery,
    GetDriverQuery,
    GetMachineQuery,
    WaitForMachineQuery,
    ListMachineSamplesQuery,
    GetCapacityQuery,
    WakeFunctionQuery,
  ],
  providers: [
    MachineBook,
    MachineAges,
    ActivityBook,
    Demand,
    MachineExits,
    MachineRest,
    FunctionWaker,
    RouteTable,
    MachineStore,
    Admission,
    MachineRunner,
    LogPump,
    ReconcileMachinesLoop,
    RestMachinesLoop,
    SampleMachinesLoop,
    ExpireMachinesLoop,
    MakeRoom,
    {
      provide: CHOSEN_DRIVER,
      inject: [ROOM_CONFIG, MachineStore],
      useFactory: async (config: MachinesConfig, machines: MachineStore) =>
        pickDriver(config, await machines.house(), { inContainers: await machines.inContainers() }),
    },
  ],
})
export class MachinesModule {}

export const machinesRoom = defineRoom({
  name: 'machines',
  module: MachinesModule,
  config: machinesConfig,
  entities: [MachineRow, RemovedMachineRow, FleetRow],
  migrations: [CreateMachine1763700100000, RestMachines1764500000000],
});

export { processEnvironment, readEnvironment, type Environment } from './house.config.ts';
export { LOGGER } from './logger.ts';
export { defineRoom, ROOM_CONFIG, type RoomDefinition } from './room.ts';
export { runRoom, sentenceOf, stopOnSignal } from './run-room.ts';
export { startRoom, type RunningRoom } from './start-room.ts';

export { Database, isDatabaseAway, openDatabase, type DatabaseOptions, type Settlement } from './database.ts';
export { OutboxRow } from './outbox.entity.ts';
export { contextOf, inSpan, roomOf, traceHeaders, withRoom } from './span-context.ts';
export { headerNames, Transaction, type SendOptions } from './transaction.ts';

import { cloudEvent } from '@google-cloud/functions-framework';

/** One JSON line per event; one that fails is answered with 500, and delivered again. */
cloudEvent('onEvent', ({ id, type, source, subject, data }) => {
  if (data === undefined) throw new Error(`event ${id} has no data`);
  console.log(JSON.stringify({ level: 'info', message: `event ${type}`, id, source, subject, data }));
});

const http = require('node:http');

const jobs = Number(process.env.JOBS ?? 100);

/** Each tick of the schedule is answered with a batch of events, which the platform publishes: one for each job. */
http
  .createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const tick = request.headers['ce-id'];
      if (!tick) return response.writeHead(400).end('This function is called by its schedule.\n');
      const events = Array.from({ length: jobs }, (_, index) => ({
        specversion: '1.0',
        id: `${tick}-${index + 1}`,
        source: '/job-publisher',
        type: 'jobs.created',
        time: new Date().toISOString(),
        data: { job: `${tick}-${index + 1}` },
      }));
      console.log(JSON.stringify({ published: events.length, tick }));
      response.writeHead(200, { 'content-type': 'application/cloudevents-batch+json' });
      response.end(JSON.stringify(events));
    });
  })
  .listen(process.env.PORT);

import { http } from '@google-cloud/functions-framework';

http('hello', (request, response) => {
  const name = request.query.name || 'world';
  console.log(`greeting ${name}`);
  response.type('text/plain').send(`${process.env.GREETING ?? 'Hello'}, ${name}!\n`);
});

/** Why a server could not be started, as a whole sentence for the person at the terminal. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
}

import { describe, expect, it } from '@jest/globals';
import { normaliseServerOptions, type ServerOptions } from './server-options.js';

describe("a server's options", () => {
  it('are 127.0.0.1 and port 5672 where nothing is said, and those of the broker go to it', () => {
    expect(normaliseServerOptions({ directory: '/data' })).toMatchObject({
      host: '127.0.0.1',
      port: 5672,
      broker: { directory: '/data' },
    });
  });

  it('are all named to who gives one that is none', () => {
    const wrong = { prot: 5672 } as ServerOptions;
    expect(() => normaliseServerOptions(wrong)).toThrow(
      "'prot' is not an option. Options are: host, port, tls, loopbackUsers, directory, ",
    );
  });
});

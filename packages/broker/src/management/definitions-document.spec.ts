import { describe, expect, it } from '@jest/globals';
import { operatorPolicyOf, parseDocument } from './definitions-document.js';

const parse = (document: unknown): ReturnType<typeof parseDocument> =>
  parseDocument(JSON.stringify(document));

describe('definitions', () => {
  it('have an operator policy whose settings are pairs, as RabbitMQ 3.10.8 exports them', () => {
    const value = { 'apply-to': 'queues', definition: [['max-length', 5]], pattern: '^q', priority: 2 };
    const [parameter] = parse({
      parameters: [{ component: 'operator_policy', name: 'op', value, vhost: '/' }],
    }).parameters;
    if (parameter === undefined) throw new Error('no parameter');
    expect(operatorPolicyOf(parameter)).toEqual({
      vhost: '/',
      name: 'op',
      pattern: '^q',
      applyTo: 'queues',
      priority: 2,
      definition: { 'max-length': 5 },
    });
  });

  it('have tags as a list, or with commas, as RabbitMQ wrote them before 3.8', () => {
    const { users } = parse({
      users: [{ name: 'a', tags: 'x, y' }, { name: 'b', tags: ['z'] }, { name: 'c' }],
    });
    expect(users.map(({ tags }) => tags)).toEqual([['x', 'y'], ['z'], []]);
  });

  it('have empty objects that Erlang writes as empty lists', () => {
    const entry = { name: 'q', vhost: '/', arguments: [], durable: true, auto_delete: false };
    expect(parse({ queues: [entry] }).queues[0]?.arguments).toEqual({});
    expect(() => parse({ queues: [{ ...entry, arguments: [1] }] })).toThrow("'arguments' must be an object");
  });

  it('have the description of a vhost beside its name, or in its metadata', () => {
    const { vhosts } = parse({
      vhosts: [
        { name: 'a', description: 'x', tags: ['t'] },
        { name: 'b', metadata: { description: 'y', tags: ['u'] }, limits: [] },
        { name: 'c' },
      ],
    });
    expect(vhosts).toEqual([
      { name: 'a', description: 'x', tags: ['t'], limits: {} },
      { name: 'b', description: 'y', tags: ['u'], limits: {} },
      { name: 'c', description: '', tags: [], limits: {} },
    ]);
  });
});

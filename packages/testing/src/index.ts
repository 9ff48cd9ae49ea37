export type { WaitOptions } from './idle.js';
export { type ReceivedMessage, TestBroker, type TestBrokerOptions } from './test-broker.js';

export { type ReceivedMessage, TestBroker, type TestBrokerOptions } from './test-broker.js';

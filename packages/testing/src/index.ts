export { type ReceivedMessage, TestBroker } from './test-broker.js';

import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common'; import { NestFactory } from '@nestjs/core'; import { EventPattern } from '@nestjs/microservices';
import { QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { NullClient, NullServer } from './dist/benchmarks/null-transport.js';
import fs from 'node:fs';
const mode=process.argv[2]; const N=Number(process.argv[3]??200000);
let onHandled=()=>{};
class H { handle(d){ onHandled(); } }
EventPattern('bench.event')(H.prototype,'handle',Object.getOwnPropertyDescriptor(H.prototype,'handle'));
Reflect.defineMetadata('design:paramtypes',[Object],H.prototype,'handle');
Controller()(H);
class M {}
const dir='/work/tmpmq2'; fs.rmSync(dir,{recursive:true,force:true});
Module({controllers:[H],imports: mode==='null'?[]:[QueueModule.forRoot({url:mode==='memory'?'memory:':'file:'+dir,prefetchCount:500})]})(M);
const app=await NestFactory.create(M,{logger:['error','fatal']});
const server=mode==='null'?new NullServer():app.get(QueueServer);
app.connectMicroservice({strategy:server}); await app.startAllMicroservices();
const client=mode==='null'?new NullClient(server):app.get(QueueClient);
const EVENT={id:'ord-000123',customer:{name:'Ada Lovelace',email:'ada@example.org',country:'GB'},lines:[{sku:'BOOK-17',name:'Notes on the Analytical Engine',quantity:1,unitPriceCents:2450},{sku:'PEN-03',name:'Steel pen',quantity:4,unitPriceCents:120}],placedAt:'2026-01-15T10:20:30.000Z'};
function run(count){return new Promise((resolve,reject)=>{let sent=0,c=0,h=0;const next=()=>{if(c===count&&h===count)return resolve();while(sent<count&&sent-Math.min(c,h)<500){sent++;client.emit('bench.event',EVENT).subscribe({complete:()=>{c++;next()},error:reject});}};onHandled=()=>{h++;next()};next();});}
await run(5000);
for(let i=0;i<3;i++){const t=process.hrtime.bigint();await run(N/3|0);console.log(mode,Math.round((N/3|0)/(Number(process.hrtime.bigint()-t)/1e9)));}
await app.close();

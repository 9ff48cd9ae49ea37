# A session with Bunny (ruby-bunny); clients.spec.ts says what it has to print. The port is the argument.
require 'bunny'

connection = Bunny.new(host: '127.0.0.1', port: ARGV[0].to_i, automatically_recover: false)
connection.start
channel = connection.create_channel
channel.confirm_select
exchange = channel.topic('events', durable: true)
queue = channel.queue('jobs', durable: true)
status = queue.status
puts "declared #{queue.name}: #{status[:message_count]} messages, #{status[:consumer_count]} consumers"
queue.bind(exchange, routing_key: 'job.*')

%w[one two three].each.with_index(1) do |body, n|
  exchange.publish(body, routing_key: 'job.new', persistent: true, mandatory: true, headers: { n: n })
end
puts "confirmed #{channel.wait_for_confirms ? 3 : 0}"
exchange.on_return { |info, _, body| puts "returned #{body}: #{info.reply_code} #{info.reply_text}" }
exchange.publish('lost', routing_key: 'nobody', mandatory: true)
channel.wait_for_confirms

channel.prefetch(3)
deliveries = Thread::Queue.new
consumer = queue.subscribe(manual_ack: true) { |*delivery| deliveries << delivery }
received = Array.new(3) { deliveries.pop }
consumer.cancel
puts "received #{received.map { |_, properties, body| "#{body}=#{properties.headers['n']}" }.join(' ')}"
channel.ack(received[1][0].delivery_tag, true)
channel.nack(received[2][0].delivery_tag, false, true)
info, _, body = queue.pop(manual_ack: true)
puts "got #{body}, redelivered: #{info.redelivered}"
channel.ack(info.delivery_tag)
puts "left #{queue.delete.message_count}"
exchange.delete

begin
  channel.queue('jobs', passive: true)
rescue Bunny::NotFound => e
  puts "refused #{e.channel_close.reply_code} #{e.channel_close.reply_text}"
end
connection.close
puts 'closed'

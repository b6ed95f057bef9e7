// Sends one message over the WebSocket and waits until it is stored: node chat.mjs URL TOKEN CONVERSATION_ID TEXT.
// Runs as it is in browsers and in Node 22; Node 20 needs --experimental-websocket.

async function ticket(url, token) {
  const answer = await fetch(`${url}/api/v1/ws-tickets`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  if (!answer.ok) throw new Error((await answer.json()).code);
  return (await answer.json()).ticket;
}

export async function send(url, token, conversationId, text) {
  const clientId = crypto.randomUUID(); // the same one makes it safe to try again on another socket
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/api/v1/ws?ticket=${await ticket(url, token)}`);
  try {
    return await new Promise((resolve, reject) => {
      socket.onclose = (event) => reject(new Error(`closed with ${event.code}: connect and send again`));
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === "hello") {
          socket.send(JSON.stringify({ type: "send", conversationId, clientId, text }));
        } else if (frame.type === "ack" && frame.clientId === clientId) {
          resolve(frame.message);
        } else if (frame.type === "error" && frame.clientId === clientId) {
          reject(new Error(`${frame.code}: ${frame.detail}`));
        }
      };
    });
  } finally {
    socket.close();
  }
}

if (typeof process !== "undefined") {
  const [url, token, conversationId, text] = process.argv.slice(2);
  console.log(JSON.stringify(await send(url, token, conversationId, text)));
}

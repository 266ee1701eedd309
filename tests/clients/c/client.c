// Core NATS and JetStream as the C client uses them. Usage: client URL CASE
//
// Built and run by test_c_clients.py against the client that the system has (Debian: libnats-dev).
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT 10000

static natsConnection *nc;
static jsCtx *js;

static void demand(bool holds, const char *what, int line) {
    if (!holds) {
        fprintf(stderr, "line %d: %s does not hold; %s\n", line, what, nats_GetLastError(NULL));
        exit(1);
    }
}

static void succeed(natsStatus status, const char *what, int line) {
    if (status != NATS_OK) {
        fprintf(stderr, "line %d: %s: %s; %s\n", line, what, natsStatus_GetText(status), nats_GetLastError(NULL));
        exit(1);
    }
}

#define CHECK(condition) demand((condition), #condition, __LINE__)
#define OK(call) succeed((call), #call, __LINE__)

static natsMsg *next_message(natsSubscription *sub) {
    natsMsg *msg = NULL;
    OK(natsSubscription_NextMsg(&msg, sub, TIMEOUT));
    return msg;
}

static bool holds(natsMsg *msg, const char *text) {
    return natsMsg_GetDataLength(msg) == (int)strlen(text) && memcmp(natsMsg_GetData(msg), text, strlen(text)) == 0;
}

static void publish_and_subscribe(void) {
    natsSubscription *wild = NULL, *literal = NULL;
    OK(natsConnection_SubscribeSync(&wild, nc, "a.*"));
    OK(natsConnection_SubscribeSync(&literal, nc, "a.b"));
    OK(natsConnection_PublishString(nc, "a.b", "one"));
    OK(natsConnection_Publish(nc, "a.c", "\0\r\n\xff", 4));
    natsMsg *msg = next_message(wild);
    CHECK(holds(msg, "one") && strcmp(natsMsg_GetSubject(msg), "a.b") == 0);
    natsMsg_Destroy(msg);
    msg = next_message(wild);
    CHECK(natsMsg_GetDataLength(msg) == 4 && memcmp(natsMsg_GetData(msg), "\0\r\n\xff", 4) == 0);
    natsMsg_Destroy(msg);
    msg = next_message(literal);
    CHECK(holds(msg, "one"));
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(wild);
    natsSubscription_Destroy(literal);
}

static void headers_of_messages(void) {
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    const char *value = NULL;
    OK(natsConnection_SubscribeSync(&sub, nc, "h"));
    OK(natsMsg_Create(&msg, "h", NULL, "body", 4));
    OK(natsMsgHeader_Add(msg, "Two", "1"));
    OK(natsMsgHeader_Add(msg, "Two", "2"));
    OK(natsConnection_PublishMsg(nc, msg));
    natsMsg_Destroy(msg);
    msg = next_message(sub);
    const char **values = NULL;
    int count = 0;
    OK(natsMsgHeader_Values(msg, "Two", &values, &count));
    CHECK(count == 2 && strcmp(values[0], "1") == 0 && strcmp(values[1], "2") == 0);
    free((void *)values);
    CHECK(natsMsgHeader_Get(msg, "None", &value) == NATS_NOT_FOUND);
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
}

static void answer(natsConnection *connection, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub;
    (void)closure;
    natsConnection_PublishString(connection, natsMsg_GetReply(msg), "answer");
    natsMsg_Destroy(msg);
}

static void requests(void) {
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    OK(natsConnection_Subscribe(&sub, nc, "service", answer, NULL));
    OK(natsConnection_RequestString(&msg, nc, "service", "please", TIMEOUT));
    CHECK(holds(msg, "answer"));
    natsMsg_Destroy(msg);
    CHECK(natsConnection_RequestString(&msg, nc, "nobody", "", TIMEOUT) == NATS_NO_RESPONDERS);
    natsSubscription_Destroy(sub);
}

static void count_up(natsConnection *connection, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)connection;
    (void)sub;
    ++*(int *)closure;
    natsMsg_Destroy(msg);
}

static void queue_groups_and_drain(void) {
    natsConnection *other = NULL;
    natsSubscription *first = NULL, *second = NULL;
    int counts[2] = {0, 0};
    char url[256];
    OK(natsConnection_GetConnectedUrl(nc, url, sizeof(url)));
    OK(natsConnection_ConnectTo(&other, url));
    OK(natsConnection_QueueSubscribe(&first, nc, "q", "workers", count_up, &counts[0]));
    OK(natsConnection_QueueSubscribe(&second, other, "q", "workers", count_up, &counts[1]));
    OK(natsConnection_Flush(nc));
    OK(natsConnection_Flush(other));
    for (int n = 0; n < 400; n++) OK(natsConnection_PublishString(nc, "q", "x"));
    OK(natsConnection_Flush(nc));
    OK(natsConnection_Flush(other));
    OK(natsSubscription_Drain(first));
    OK(natsSubscription_Drain(second));
    OK(natsSubscription_WaitForDrainCompletion(first, TIMEOUT));
    OK(natsSubscription_WaitForDrainCompletion(second, TIMEOUT));
    CHECK(counts[0] + counts[1] == 400 && counts[0] > 50 && counts[1] > 50);
    natsSubscription_Destroy(first);
    natsSubscription_Destroy(second);
    natsConnection_Destroy(other);
}

static void auto_unsubscribe(void) {
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    OK(natsConnection_SubscribeSync(&sub, nc, "lim"));
    OK(natsSubscription_AutoUnsubscribe(sub, 2));
    for (int n = 0; n < 5; n++) OK(natsConnection_PublishString(nc, "lim", "x"));
    for (int n = 0; n < 2; n++) natsMsg_Destroy(next_message(sub));
    CHECK(natsSubscription_NextMsg(&msg, sub, 200) == NATS_MAX_DELIVERED_MSGS);
    natsSubscription_Destroy(sub);
}

// -- JetStream ---------------------------------------------------------------------------------------------
static void make_stream(void) {
    jsStreamConfig cfg;
    jsErrCode code = 0;
    const char *subjects[] = {"orders.*"};
    OK(jsStreamConfig_Init(&cfg));
    cfg.Name = "ORDERS";
    cfg.Subjects = subjects;
    cfg.SubjectsLen = 1;
    OK(js_AddStream(NULL, js, &cfg, NULL, &code));
}

static void store(int count) {
    for (int n = 0; n < count; n++) OK(js_PublishAsync(js, "orders.new", "body", 4, NULL));
    OK(js_PublishAsyncComplete(js, NULL));
}

static void publishing(void) {
    jsPubAck *ack = NULL;
    jsPubOptions options;
    jsErrCode code = 0;
    jsStreamInfo *info = NULL;
    make_stream();
    OK(jsPubOptions_Init(&options));
    options.MsgId = "one";
    OK(js_Publish(&ack, js, "orders.new", "body", 4, &options, &code));
    CHECK(ack->Sequence == 1 && !ack->Duplicate && strcmp(ack->Stream, "ORDERS") == 0);
    jsPubAck_Destroy(ack);
    OK(js_Publish(&ack, js, "orders.new", "body", 4, &options, &code));
    CHECK(ack->Sequence == 1 && ack->Duplicate);
    jsPubAck_Destroy(ack);
    OK(jsPubOptions_Init(&options));
    options.ExpectLastSeq = 7;
    CHECK(js_Publish(NULL, js, "orders.new", "body", 4, &options, &code) != NATS_OK && code == 10071);
    store(500);
    OK(js_GetStreamInfo(&info, js, "ORDERS", NULL, &code));
    CHECK(info->State.Msgs == 501 && info->State.LastSeq == 501);
    jsStreamInfo_Destroy(info);
    natsMsg *msg = NULL;
    OK(js_GetMsg(&msg, js, "ORDERS", 3, NULL, &code));
    CHECK(holds(msg, "body") && natsMsg_GetSequence(msg) == 3);
    natsMsg_Destroy(msg);
    OK(js_DeleteMsg(js, "ORDERS", 3, NULL, &code));
    CHECK(js_GetMsg(&msg, js, "ORDERS", 3, NULL, &code) == NATS_NOT_FOUND && code == 10037);
    OK(js_PurgeStream(js, "ORDERS", NULL, &code));
}

static void pulling(void) {
    natsSubscription *sub = NULL;
    natsMsgList list;
    jsErrCode code = 0;
    jsConsumerInfo *info = NULL;
    make_stream();
    store(120);
    OK(js_PullSubscribe(&sub, js, "orders.*", "D", NULL, NULL, &code));
    int seen = 0;
    while (seen < 120) {
        OK(natsSubscription_Fetch(&list, sub, 50, TIMEOUT, &code));
        for (int n = 0; n < list.Count; n++) OK(natsMsg_AckSync(list.Msgs[n], NULL, &code));
        seen += list.Count;
        natsMsgList_Destroy(&list);
    }
    CHECK(seen == 120);
    CHECK(natsSubscription_Fetch(&list, sub, 1, 300, &code) == NATS_TIMEOUT);
    OK(js_GetConsumerInfo(&info, js, "ORDERS", "D", NULL, &code));
    CHECK(info->NumPending == 0 && info->NumAckPending == 0 && info->AckFloor.Stream == 120);
    jsConsumerInfo_Destroy(info);
    natsSubscription_Destroy(sub);
}

static void pushing(void) {
    natsSubscription *sub = NULL;
    jsErrCode code = 0;
    jsSubOptions options;
    jsMsgMetaData *meta = NULL;
    make_stream();
    store(50);
    OK(jsSubOptions_Init(&options));
    options.ManualAck = true;
    OK(js_SubscribeSync(&sub, js, "orders.*", NULL, &options, &code));
    for (uint64_t n = 1; n <= 50; n++) {
        natsMsg *msg = next_message(sub);
        OK(natsMsg_GetMetaData(&meta, msg));
        CHECK(meta->Sequence.Stream == n && meta->NumPending == 50 - n && meta->NumDelivered == 1);
        jsMsgMetaData_Destroy(meta);
        if (n == 10) OK(natsMsg_Nak(msg, NULL));
        else OK(natsMsg_Ack(msg, NULL));
        natsMsg_Destroy(msg);
    }
    natsMsg *again = next_message(sub);
    OK(natsMsg_GetMetaData(&meta, again));
    CHECK(meta->Sequence.Stream == 10 && meta->NumDelivered == 2);
    jsMsgMetaData_Destroy(meta);
    natsMsg_Destroy(again);
    OK(natsSubscription_Unsubscribe(sub));
    natsSubscription_Destroy(sub);
}

static void ordered(void) {
    natsSubscription *sub = NULL;
    jsErrCode code = 0;
    jsSubOptions options;
    make_stream();
    store(2000);
    OK(jsSubOptions_Init(&options));
    options.Ordered = true;
    OK(js_SubscribeSync(&sub, js, "orders.*", NULL, &options, &code));
    for (int n = 0; n < 2000; n++) natsMsg_Destroy(next_message(sub));
    natsSubscription_Destroy(sub);
}

static void buckets(void) {
    kvStore *kv = NULL;
    kvConfig cfg;
    kvEntry *entry = NULL;
    uint64_t revision = 0;
    OK(kvConfig_Init(&cfg));
    cfg.Bucket = "SETTINGS";
    cfg.History = 5;
    OK(js_CreateKeyValue(&kv, js, &cfg));
    OK(kvStore_PutString(&revision, kv, "colour", "red"));
    CHECK(revision == 1);
    OK(kvStore_UpdateString(&revision, kv, "colour", "blue", 1));
    CHECK(kvStore_UpdateString(NULL, kv, "colour", "green", 1) != NATS_OK);
    CHECK(kvStore_CreateString(NULL, kv, "colour", "green") != NATS_OK);
    OK(kvStore_Get(&entry, kv, "colour"));
    CHECK(strcmp(kvEntry_ValueString(entry), "blue") == 0 && kvEntry_Revision(entry) == 2);
    kvEntry_Destroy(entry);
    kvEntryList history;
    OK(kvStore_History(&history, kv, "colour", NULL));
    CHECK(history.Count == 2);
    kvEntryList_Destroy(&history);
    OK(kvStore_Delete(kv, "colour"));
    CHECK(kvStore_Get(&entry, kv, "colour") == NATS_NOT_FOUND);
    OK(kvStore_PutString(NULL, kv, "size", "9"));
    kvKeysList keys;
    OK(kvStore_Keys(&keys, kv, NULL));
    CHECK(keys.Count == 1 && strcmp(keys.Keys[0], "size") == 0);
    kvKeysList_Destroy(&keys);
    kvStore_Destroy(kv);
}

static void names_and_limits(void) {
    jsErrCode code = 0;
    jsStreamNamesList *names = NULL;
    jsAccountInfo *account = NULL;
    jsStreamConfig cfg;
    make_stream();
    OK(js_StreamNames(&names, js, NULL, &code));
    CHECK(names->Count == 1 && strcmp(names->List[0], "ORDERS") == 0);
    jsStreamNamesList_Destroy(names);
    OK(js_GetAccountInfo(&account, js, NULL, &code));
    CHECK(account->Streams == 1);
    jsAccountInfo_Destroy(account);
    const char *subjects[] = {"orders.new"};
    OK(jsStreamConfig_Init(&cfg));
    cfg.Name = "OTHER";
    cfg.Subjects = subjects;
    cfg.SubjectsLen = 1;
    CHECK(js_AddStream(NULL, js, &cfg, NULL, &code) != NATS_OK && code == 10065);
    CHECK(js_DeleteStream(js, "NONE", NULL, &code) == NATS_NOT_FOUND && code == 10059);
    OK(js_DeleteStream(js, "ORDERS", NULL, &code));
}

struct test_case {
    const char *name;
    void (*run)(void);
};

#define CASE(name) {#name, name}
static const struct test_case CASES[] = {
    CASE(publish_and_subscribe),
    CASE(headers_of_messages),
    CASE(requests),
    CASE(queue_groups_and_drain),
    CASE(auto_unsubscribe),
    CASE(publishing),
    CASE(pulling),
    CASE(pushing),
    CASE(ordered),
    CASE(buckets),
    CASE(names_and_limits),
};

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    OK(natsConnection_ConnectTo(&nc, argv[1]));
    OK(natsConnection_JetStream(&js, nc, NULL));
    for (size_t n = 0; n < sizeof(CASES) / sizeof(CASES[0]); n++) {
        if (strcmp(CASES[n].name, argv[2]) == 0) {
            CASES[n].run();
            jsCtx_Destroy(js);
            natsConnection_Destroy(nc);
            nats_Close();
            puts("ok");
            return 0;
        }
    }
    return 2;
}

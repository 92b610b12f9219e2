//! Converting transactions to etcd's messages, and etcd's answers back.

use super::messages::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, Header, KeyValue, PutRequest, RangeRequest,
    RangeResponse, Request, RequestOp, Response, ResponseOp, TargetUnion, TxnRequest, TxnResponse,
};
use crate::engine::remote::cluster::{Answer, Condition, Done, Found, Op, Range, Reading, Row, Rows, Txn};

/// A request to etcd. A single range is sent as such, because that costs etcd less than a transaction.
#[derive(Clone)]
pub(super) enum Question {
    Range(RangeRequest),
    Txn(TxnRequest),
}

pub(super) fn question(mut txn: Txn, reading: Reading) -> Question {
    if txn.conditions.is_empty()
        && let [Op::Range(_)] = &*txn.then
        && let Some(Op::Range(range)) = txn.then.pop()
    {
        return Question::Range(range_request(range, reading));
    }
    Question::Txn(request(txn, reading))
}

fn request(txn: Txn, reading: Reading) -> TxnRequest {
    let ops = |ops: Vec<Op>| ops.into_iter().map(|op| RequestOp { request: Some(request_op(op, reading)) }).collect();
    TxnRequest {
        compare: txn.conditions.into_iter().map(compare).collect(),
        success: ops(txn.then),
        failure: ops(txn.otherwise),
    }
}

fn request_op(op: Op, reading: Reading) -> Request {
    match op {
        Op::Range(range) => Request::Range(range_request(range, reading)),
        Op::Put { key, value } => Request::Put(PutRequest { key, value }),
        Op::Delete { key } => Request::DeleteRange(DeleteRangeRequest { key }),
        Op::Txn(txn) => Request::Txn(request(txn, reading)),
    }
}

fn range_request(range: Range, reading: Reading) -> RangeRequest {
    RangeRequest {
        key: range.start,
        range_end: range.end.unwrap_or_default(),
        limit: i64::try_from(range.limit).unwrap_or(0),
        revision: range.revision,
        serializable: reading == Reading::Stale,
        count_only: range.count_only,
    }
}

fn compare(condition: Condition) -> Compare {
    let (result, target, key, range_end, target_union) = match condition {
        Condition::Unchanged { key, revision } => {
            (CompareResult::Equal, CompareTarget::Mod, key, Vec::new(), TargetUnion::ModRevision(revision))
        }
        Condition::Exists { key } => {
            (CompareResult::Greater, CompareTarget::Mod, key, Vec::new(), TargetUnion::ModRevision(0))
        }
        Condition::NoneAfter { start, end, revision } => {
            (CompareResult::Less, CompareTarget::Mod, start, end, TargetUnion::ModRevision(revision + 1))
        }
        Condition::Value { key, value } => {
            (CompareResult::Equal, CompareTarget::Value, key, Vec::new(), TargetUnion::Value(value))
        }
    };
    Compare { result: result.into(), target: target.into(), key, target_union: Some(target_union), range_end }
}

pub(super) fn answer_of_txn(response: TxnResponse) -> (Header, Answer) {
    let header = response.header.clone().unwrap_or_default();
    let answer = Answer { revision: header.revision, done: done(response) };
    (header, answer)
}

pub(super) fn answer_of_range(mut response: RangeResponse) -> (Header, Answer) {
    let header = response.header.take().unwrap_or_default();
    let done = Done { held: true, results: vec![Found::Rows(rows(response))] };
    let answer = Answer { revision: header.revision, done };
    (header, answer)
}

fn done(response: TxnResponse) -> Done {
    Done { held: response.succeeded, results: response.responses.into_iter().map(found).collect() }
}

fn found(op: ResponseOp) -> Found {
    match op.response {
        Some(Response::Range(range)) => Found::Rows(rows(range)),
        Some(Response::Txn(txn)) => Found::Txn(done(txn)),
        Some(Response::Put(_) | Response::DeleteRange(_)) | None => Found::Changed,
    }
}

fn rows(range: RangeResponse) -> Rows {
    let row = |KeyValue { key, value, mod_revision }| (key, Row { value, revision: mod_revision });
    Rows {
        rows: range.kvs.into_iter().map(row).collect(),
        more: range.more,
        count: u64::try_from(range.count).unwrap_or(0),
    }
}
